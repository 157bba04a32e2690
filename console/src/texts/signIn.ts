// Before one is in: signing in, the first password.
import { plural } from "./words";

export const signInTexts = {
  signIn: {
    pageTitle: "Sign in · Fettle",
    title: "Sign in",
    lead: "Self-healing operations that can prove what they did.",
    email: "E-mail",
    password: "Password",
    submit: "Sign in",
    refused: "You are not signed in",
    firstTime: "First time here? The one-time password was printed when Fettle was first started.",
  },

  changePassword: {
    pageTitle: "Choose a password · Fettle",
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
