"""What comes through Amazon SNS: Amazon's signature by Amazon's certificate, one topic, and a person's word."""

from datetime import timedelta

import pytest
import pytest_asyncio
from tests.hooks.amazon import CERTIFICATE, HOST, TOPIC, Amazon, as_text, running_amazon
from tests.hooks.senders import SOURCES, sender

from fettle.incidents.hooks.sns import is_amazons
from fettle.kernel.clock import rfc3339, utcnow


@pytest_asyncio.fixture
async def amazon(api):
    async with running_amazon(api.platform) as running:
        yield running


@pytest_asyncio.fixture
async def topic(api):
    return await sender(api, "cloudwatch", topic=TOPIC, secret=None)


ALARM = (
    '{"AlarmName": "queue", "NewStateValue": "ALARM", "NewStateReason": "Too long", '
    '"AlarmArn": "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:queue", "Trigger": {"Dimensions": []}}'
)


async def test_an_alarm_that_amazon_signed_is_taken_once(api, amazon, topic):
    message = amazon.message(Message=ALARM, Subject="ALARM")
    for status in ("accepted", "repeated"):
        answer = await topic.send(as_text(message), content_type="text/plain; charset=UTF-8")
        assert (answer.status_code, answer.json()["status"]) == (202, status)
    over = amazon.message(Message=ALARM.replace('"ALARM"', '"OK"'), Subject=None)
    assert (await topic.send(as_text(over))).json()["status"] == "accepted"
    first, second = await topic.exceptions()
    assert (first["status"], second["status"]) == ("firing", "resolved")
    assert first["dedup_key"] == second["dedup_key"]
    assert len(amazon.asked) == 1, "the certificate is fetched once"


ELSEWHERE = [
    "http://sns.eu-central-1.amazonaws.com/SimpleNotificationService-{}.pem",
    "https://sns.eu-central-1.amazonaws.com.evil.example/SimpleNotificationService-{}.pem",
    "https://evil.example/SimpleNotificationService-{}.pem",
    "https://sns.eu-central-1.amazonaws.com@evil.example/SimpleNotificationService-{}.pem",
    "https://evil.example#sns.eu-central-1.amazonaws.com/SimpleNotificationService-{}.pem",
    "https://sns.eu-central-1.amazonaws.com:8443/SimpleNotificationService-{}.pem",
    "https://sns.eu-central-1.amazonaws.com/bucket/SimpleNotificationService-{}.pem",
    "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-{}.pem?x=1",
    "https://s3.eu-central-1.amazonaws.com/SimpleNotificationService-{}.pem",
    "https://sns.evil.s3.amazonaws.com/SimpleNotificationService-{}.pem",
    "https://sns.eu-central-1.amazonaws.com\\@evil.example/SimpleNotificationService-{}.pem",
    "https://169.254.169.254/SimpleNotificationService-{}.pem",
    "https://127.0.0.1/SimpleNotificationService-{}.pem",
    "https://sns.eu-central-1.amazonaws.com/../SimpleNotificationService-{}.pem",
    "file:///etc/passwd",
    "",
]


@pytest.mark.parametrize("url", ELSEWHERE)
async def test_a_certificate_is_fetched_from_amazon_and_nowhere_else(api, amazon, topic, url):
    message = amazon.message(SigningCertURL=url.format("0a" * 16))
    assert (await topic.send(as_text(message))).status_code == 403
    assert amazon.asked == []
    assert "address of Amazon" in (await topic.shown())["refusal"]


async def test_what_amazon_did_not_sign_so_is_refused(api, amazon, topic):
    stranger = Amazon()
    altered = amazon.message() | {"Message": "another"}
    for message in (
        stranger.message(),
        altered,
        amazon.message(SignatureVersion="1"),
        amazon.message() | {"SignatureVersion": "1"},
        amazon.message(TopicArn=TOPIC.replace("alarms", "others")),
        amazon.message(Timestamp=rfc3339(utcnow() - timedelta(hours=7))),
        amazon.message(Timestamp=rfc3339(utcnow() + timedelta(minutes=6))),
        amazon.message() | {"Signature": "not Base64!"},
        amazon.message() | {"Signature": None},
        amazon.message() | {"Type": "Something"},
        {"AlarmName": "raw", "NewStateValue": "ALARM"},
    ):
        assert (await topic.send(as_text(message))).status_code == 403, message
    for body in (b"", b"no JSON", b"[]", b"1"):
        assert (await topic.send(body)).status_code == 403
    assert await topic.exceptions() == []


async def test_a_certificate_of_somebody_else_at_amazon_is_refused(api, amazon, topic):
    amazon.common_name = "bucket.s3.amazonaws.com"
    assert (await topic.send(as_text(amazon.message()))).status_code == 403
    assert len(amazon.asked) == 1


async def test_what_amazon_signed_once_is_not_another_message_by_moving_its_fields(api, amazon, topic):
    """What is signed are lines: a field within its neighbour would leave the signature as it is."""
    message = amazon.message(Message=ALARM)
    assert (await topic.send(as_text(message))).status_code == 202
    told, name, subject = message["Message"], message["MessageId"], message["Subject"]
    without = {key: value for key, value in message.items() if key != "Subject"}
    for moved in (
        message | {"Message": f"{told}\nMessageId\n{name}", "MessageId": 7},
        without | {"MessageId": f"{name}\nSubject\n{subject}"},
        {key: value for key, value in message.items() if key != "MessageId"}
        | {"Message": f"{told}\nMessageId\n{name}"},
    ):
        assert (await topic.send(as_text(moved))).status_code == 403
    assert len(await topic.exceptions()) == 1


async def test_a_wish_to_send_waits_for_a_person(api, amazon, topic):
    asks = amazon.message("SubscriptionConfirmation")
    answer = await topic.send(as_text(asks))
    assert (answer.status_code, answer.json()["status"]) == (202, "held")
    assert all("ConfirmSubscription" not in path for path in amazon.asked)
    assert (await topic.shown())["held"] == 1
    path = f"{SOURCES}/{topic.id}/subscriptions"
    [wish] = (await api.client.get(path, headers=api.alder.headers())).json()["items"]
    assert (wish["state"], wish["topic"]) == ("held", TOPIC)
    for role in ("viewer", "analyst", "operator"):
        refused = await api.client.post(f"{path}/{wish['id']}/confirm", headers=api.alder.headers(role))
        assert refused.status_code == 403
    done = await api.client.post(f"{path}/{wish['id']}/confirm", headers=api.alder.headers())
    assert done.json()["state"] == "confirmed", done.text
    assert amazon.asked[-1].startswith("/?Action=ConfirmSubscription")
    again = await api.client.post(f"{path}/{wish['id']}/reject", headers=api.alder.headers())
    assert again.status_code == 409


async def test_nothing_is_locked_while_amazon_is_told_and_what_it_took_stands(api, amazon, topic):
    await topic.send(as_text(amazon.message("SubscriptionConfirmation")))
    path = f"{SOURCES}/{topic.id}/subscriptions"
    [wish] = (await api.client.get(path, headers=api.alder.headers())).json()["items"]
    answers = []

    async def turn_away():
        answers.append(await api.client.post(f"{path}/{wish['id']}/reject", headers=api.alder.headers()))

    amazon.meanwhile = turn_away
    done = await api.client.post(f"{path}/{wish['id']}/confirm", headers=api.alder.headers())
    assert [answer.json()["state"] for answer in answers] == ["rejected"]
    assert done.json()["state"] == "confirmed", "the topic does send"
    [kept] = (await api.client.get(path, headers=api.alder.headers())).json()["items"]
    assert kept["state"] == "confirmed"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/?Action=ConfirmSubscription&TopicArn={}",
        f"{HOST}/?Action=DeleteTopic&TopicArn={{}}",
        f"{HOST}/?Action=ConfirmSubscription&TopicArn=arn:aws:sns:eu-central-1:1:others",
        f"{HOST}:444/?Action=ConfirmSubscription&TopicArn={{}}",
    ],
)
async def test_a_wish_whose_address_is_not_amazons_is_not_even_held(api, amazon, topic, url):
    asks = amazon.message("SubscriptionConfirmation", SubscribeURL=url.format(TOPIC))
    assert (await topic.send(as_text(asks))).status_code == 403
    assert (await topic.shown())["held"] == 0


async def test_strangers_cannot_fill_the_list_of_wishes(api, amazon, topic):
    for number in range(12):
        answer = await topic.send(as_text(amazon.message("SubscriptionConfirmation")))
        assert answer.status_code == (202 if number < 10 else 409)


async def test_a_source_of_sns_names_its_topic(api):
    for body in ({"topic": None}, {"topic": "arn:aws:sqs:eu-central-1:123456789012:q"}, {}):
        made = await api.client.post(
            SOURCES, headers=api.alder.headers(), json={"name": "x", "kind": "sns", **body}
        )
        assert made.status_code == 422, made.text
    other = {"name": "x", "kind": "json", "topic": TOPIC}
    assert (await api.client.post(SOURCES, headers=api.alder.headers(), json=other)).status_code == 422


def test_an_address_of_amazon_is_known_as_a_whole():
    assert is_amazons(CERTIFICATE)
    assert is_amazons("https://sns.cn-north-1.amazonaws.com.cn/x")
    assert not is_amazons("https://sns.eu-central-1.amazonaws.com:443/x")
    assert not is_amazons("https://[::1]/x")
    assert not is_amazons("https://sns.eu-central-1.amazonaws.com:x/")
