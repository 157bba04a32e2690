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
  name: string | null;
  role: string;
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

export interface Member {
  id: string;
  email: string;
  name: string;
  role: string;
  via: "tenant" | "partner";
  partner_role: string | null;
  disabled: boolean;
  since: string;
}

export interface InvitationItem {
  id: string;
  email: string;
  role: string;
  name: string | null;
  invited_by: string;
  created_at: string;
  expires_at: string;
}

export interface InvitationMade extends InvitationItem {
  mailed: boolean;
  /** The link, where the platform could not mail it. */
  link: string | null;
}

export interface RoleItem {
  name: string;
  description: string;
  permissions: string[];
  builtin: boolean;
}

export interface RolesAndPermissions {
  roles: RoleItem[];
  permissions: { name: string; description: string }[];
}

export interface IdentityProvider {
  id: string;
  name: string;
  issuer: string;
  client_id: string;
  scopes: string[];
  role_claim: string | null;
  role_mapping: Record<string, string>;
  default_role: string | null;
  email_domains: string[];
}

export interface TenantItem {
  id: string;
  name: string;
  slug: string;
  partner_id: string | null;
  created_at: string;
}

export interface Partner {
  id: string;
  name: string;
  slug: string;
  created_at: string;
}

export interface PartnerMember {
  id: string;
  email: string;
  name: string;
  role: string;
  disabled: boolean;
  since: string;
}

export interface Account {
  id: string;
  email: string;
  name: string;
  is_platform_admin: boolean;
  disabled_at: string | null;
  created_at: string;
}
