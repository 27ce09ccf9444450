//! Attacks that change how the org guards itself.

use super::scene::Scene;

const PASSWORDS: &str = "Password Policies";
const USERS: &str = "Manage Users";

pub(super) fn weak_policies(scene: &mut Scene<'_>) {
    let (admin, _) = scene.two();
    let sessions = "Session Settings";
    let display = "Session Security Level for Username Password changed from High Assurance to Standard";
    scene.setup(&admin, "updateSessionSecurityLevel", sessions, display);
    let display = "Changed session timeout from 2 hours to 24 hours";
    scene.setup(&admin, "changedsessiontimeout", sessions, display);
    let display = "Changed password expiry policy from 90 days to Never expires";
    scene.setup(&admin, "passwordexpiry", PASSWORDS, display);
    let display = "Changed password minimum length policy from 12 characters to 5 characters";
    scene.setup(&admin, "passwordminlength", PASSWORDS, display);
}

pub(super) fn mfa_off(scene: &mut Scene<'_>) {
    let (admin, user) = scene.two();
    let display = "Organization setup action: mFADirectUILoginOptInOnOff has changed.";
    scene.setup(&admin, "mFADirectUILoginOptInOnOff", "", display);
    let display = format!(
        "Salesforce Authenticator pairing \"Salesforce Authenticator Pairing\" removed for {}",
        user.name
    );
    scene.setup(&admin, "deleteAuthenticatorPairing", USERS, &display);
}

pub(super) fn user_taken_over(scene: &mut Scene<'_>) {
    let (admin, user) = scene.two();
    let (id, name) = (&user.id15, &user.name);
    let display = format!("Changed email for user {name} (UserID: [{id}]) from {name} to drop@example.net");
    scene.setup(&admin, "changedemail", USERS, &display);
}

pub(super) fn new_app(scene: &mut Scene<'_>) {
    let (admin, _) = scene.two();
    scene.setup(&admin, "insertApplication", "Application", "Created Connected App My Ticket Portal");
    let display = "Changed connected app My Ticket Portal scopes from null to full, refresh_token";
    scene.setup(&admin, "changeOauthDefaultScope", "Application", display);
    let display = "Changed connected app My Ticket Portal IP relaxation setting from Enforce IP restrictions to Relax IP \
                   restrictions";
    scene.setup(&admin, "changeIpRelaxationPolicy", "Application", display);
    let section = "Certificate and Key Management";
    scene.setup(&admin, "insertCertificate", section, "Created Certificate TicketPortal");
}

pub(super) fn open_borders(scene: &mut Scene<'_>) {
    let (admin, _) = scene.two();
    let display = "Remote Proxy insert drop: https://drop.example.net";
    scene.setup(&admin, "remoteproxy", "Security Controls", display);
    let display = "Added Login Ip Range to System Administrator from 192.0.2.0 to 192.0.2.255";
    scene.setup(&admin, "loginIpRange", USERS, display);
}

pub(super) fn monitoring_off(scene: &mut Scene<'_>) {
    let (admin, _) = scene.two();
    let display = "Organization setup action: eventLogGenerationEnabledOnOff has changed.";
    scene.setup(&admin, "eventLogGenerationEnabledOnOff", "", display);
    let display = format!("{} disabled transaction security policy \"Block Large Data Export\".", admin.name);
    scene.setup(&admin, "transactionSecurityPolicyEnabledDisabled", "Transaction Security", &display);
}

pub(super) fn data_export(scene: &mut Scene<'_>) {
    let (admin, _) = scene.two();
    scene.setup(&admin, "export", "Data Export", "Requested an export");
}
