// A certified OpenID provider on loopback. Its people are told to it: PUT /people/<subject> with their claims.
import { createServer } from "node:http";
import Provider from "oidc-provider";

const { port, clients } = JSON.parse(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;
const people = new Map();

const provider = new Provider(issuer, {
  clients,
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name", "groups", "realm_access"] },
  conformIdTokenClaims: false,
  cookies: { keys: ["only-for-tests"] },
  features: { devInteractions: { enabled: true } },
  pkce: { required: () => true },
  findAccount: (_, id) => people.has(id) ? { accountId: id, claims: () => ({ sub: id, ...people.get(id) }) } : undefined,
});

const answer = provider.callback();
createServer((request, response) => {
  const named = /^\/people\/(.+)$/.exec(request.url);
  if (named === null || request.method !== "PUT") return answer(request, response);
  let body = "";
  request.on("data", (part) => (body += part));
  request.on("end", () => {
    people.set(decodeURIComponent(named[1]), JSON.parse(body));
    response.writeHead(204).end();
  });
}).listen(port, "127.0.0.1", () => console.log("listening"));
