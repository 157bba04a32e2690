// Before one is in: signing in, the first password.
import { plural } from "./words";

export const signInTexts = {
  signIn: {
    title: "Sign in",
    lead: "Self-healing operations that can prove what they did.",
    email: "E-mail",
    password: "Password",
    submit: "Sign in",
    refused: "You are not signed in",
    forgot: "Forgotten your password?",
    toSignIn: "Back to the sign-in",
    or: "or",
    go: "Go on",
    withPasskey: "Use a passkey",
    withProvider: (name: string) => `Sign in with ${name}`,
    providerFailed: "The sign-in through your organisation did not work",
    providerFailures: {
      other: "Try again. If it stays, ask whoever runs the sign-on of your organisation.",
      expired: "It took too long, or it began in another browser. Begin again here.",
      provider_failed: "Your organisation's sign-on did not answer as agreed. Try again; if it stays, ask whoever runs it.",
      not_allowed: "Your organisation knows you, and has given you no role here. Ask whoever runs its sign-on.",
      access_denied: "The sign-in was called off, or your organisation does not let you in here.",
    } as Record<string, string>,
    expired: "Your session has ended",
    expiredText: "Sign in again, and you are back where you were.",
    second: "Second step",
    secondLead: {
      totp: "Type the code that your authenticator app shows now.",
      recovery_code: "Type one of the recovery codes that you kept. Each is good once.",
      passkey: "Confirm with your device or your security key.",
    },
    code: { totp: "Code of the app", recovery_code: "Recovery code" },
    instead: { totp: "Use the authenticator app instead", recovery_code: "Use a recovery code instead", passkey: "Use a passkey instead" },
    secondRefused: "That was not right",
    startOver: "Start over",
    firstTime: "First time here? The one-time password was printed when Fettle was first started.",
  },

  forgot: {
    title: "Forgotten your password?",
    lead: "We send you a link by which you choose another one.",
    submit: "Send the link",
    asked: "Look into your mail",
    askedText: (email: string) => `If there is an account for ${email}, a link is on its way. It is good for a short time. Nothing came? Ask an administrator whether this platform can send mail.`,
  },

  reset: {
    title: "Choose another password",
    lead: "Every session of your account ends, on all devices.",
    another: "Ask for another link",
    done: "Your password is changed",
    doneText: "Sign in with the new one.",
    noToken: "This link is not whole",
    noTokenText: "Open it from the mail once more, or copy all of it into the address bar.",
  },

  invitation: {
    title: "Invitation",
    to: (tenant: string) => `Join ${tenant}`,
    lead: (email: string, known: boolean) =>
      known ? `You were invited as ${email}, and you have an account. Its password shows that it is you.` : `You were invited as ${email}. Choose a name and a password for your account.`,
    name: "Your name",
    accept: "Accept the invitation",
    done: (tenant: string) => `You belong to ${tenant}`,
    doneText: (email: string) => `Sign in as ${email}.`,
    askAgain: "Ask whoever invited you to send the invitation again.",
    noToken: "This link is not whole",
    noTokenText: "Open it from the mail once more, or copy all of it into the address bar.",
  },

  changePassword: {
    title: "Choose your own password",
    lead: "The one-time password has done its work. Choose one that only you know.",
    current: "One-time password",
    next: "New password",
    again: "New password, once more",
    rule: (shortest: number) => `At least ${shortest} characters; several unrelated words are good.`,
    tooShort: (missing: number) => `${plural(missing, "more character", "more characters")} needed`,
    differs: "The two do not match",
    submit: "Set the password",
  },
};
