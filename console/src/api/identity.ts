// The API's words about people, sign-in and access, as the console uses them.
import type { components } from "./schema";

type Words = components["schemas"];

export type Challenge = Words["ChallengeOut"];
export type SecondFactor = Challenge["methods"][number];
export type PasskeyOptions = Words["PasskeyOptions"];
export type InvitationLook = Words["InvitationLook"];

export type Passkey = Words["PasskeyOut"];
export type PasskeyAdded = Words["PasskeyAdded"];
export type Security = Words["SecurityOut"];
export type TotpEnrolment = Words["TotpEnrolment"];
export type RecoveryCodes = Words["RecoveryCodes"];
export type SignedInSession = Words["SessionOut"];
export type SignInPolicy = Words["SignInPolicyOut"];

export type Member = Words["MemberOut"];
export type InvitationItem = Words["InvitationOut"];
export type InvitationMade = Words["InvitationIssued"];
export type RoleItem = Words["RoleOut"];
export type RolesAndPermissions = Words["RolesAndPermissions"];

export type TenantItem = Words["TenantOut"];
export type Partner = Words["PartnerOut"];
export type PartnerMember = Words["PartnerMemberOut"];
export type Account = Words["AccountOut"];

/** An erasure of a tenant; its record is signed, and stays when everything else is gone. */
export type Erasure = Words["ErasureOut"];

export type SignInProvider = Words["Offered"];
export type IdentityProvider = Words["ProviderOut"];
