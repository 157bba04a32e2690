// The words of the API about people, sign-in and access.
import type { JsonObject } from "./types";

export type SecondFactor = "totp" | "recovery_code" | "passkey";

export interface Challenge {
  mfa_required: true;
  challenge: string;
  methods: SecondFactor[];
  expires_in: number;
}

export interface PasskeyOptions {
  challenge_id: string;
  public_key: JsonObject;
}

export interface SignInProvider {
  id: string;
  name: string;
  start_href: string;
}

export interface InvitationLook {
  tenant: string;
  email: string;
  has_account: boolean;
}

export interface Passkey {
  id: string;
  name: string;
  created_at: string;
  last_used_at: string | null;
}

export interface Security {
  totp: { enabled_at: string } | null;
  recovery_codes_left: number;
  passkeys: Passkey[];
  password_changed_at: string;
  has_password: boolean;
}

export interface TotpEnrolment {
  secret: string;
  uri: string;
}

export interface RecoveryCodes {
  recovery_codes: string[];
}

export interface SignedInSession {
  id: string;
  address: string | null;
  agent: string | null;
  methods: string[];
  created_at: string;
  last_used_at: string;
  expires_at: string;
  current: boolean;
}

export interface SignInPolicy {
  require_mfa: boolean;
  session_hours: number | null;
  allowed_sign_in: ("password" | "passkey" | "oidc")[];
}
