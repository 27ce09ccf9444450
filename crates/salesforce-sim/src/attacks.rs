//! Attacks that an org can have suffered: what they leave in its logs, beside what is there without them.
//!
//! An attack is a script ([`scene`]): it tells of rows and records, one after the other, and [`Told`] keeps them by type and
//! hour. Rows come behind the ordinary ones of their hour, records among the ordinary ones of their object, so that files,
//! queries and the truth have them like all others. When an attack happens, and to whom, follows from the seed. What a quiet
//! day has of the same types ([`routine`]) is told in the same way.
//!
//! Texts of the setup audit trail are those that orgs write, as far as public lists of its actions have them.

mod access;
mod data;
mod routine;
mod scene;
mod setup;
mod sign_in;
mod threats;
mod told;

use chrono::TimeDelta;
use clap::ValueEnum;
use serde::Deserialize;

use self::scene::Scene;
pub(crate) use self::told::{Told, ToldRecord};
use crate::prng::Rng;
use crate::rows::login::{Hour, LoginRows};

/// An attack that the org suffered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Attack {
    /// Passwords are tried on twelve users from one address; all fail, and then one of them is right.
    PasswordSpraying,
    /// The password of one user is guessed at the ninth try.
    PasswordGuessing,
    /// An integration user signs in to the API with a password.
    IntegrationPassword,
    /// A login over TLS 1.0.
    WeakTls,
    /// An administrator logs in as another user, and looks around.
    LoginAs,
    /// Somebody of Salesforce's support logs in to the org.
    SupportLogin,
    /// Administrators may log in as anybody from now on, and one does things in another administrator's name.
    DelegatedAdministrator,
    /// Modify All Data by permission set, by profile, and by becoming an administrator.
    AllDataPermission,
    /// Sessions that live for a day and need no second factor, passwords that are short and never expire.
    WeakPolicies,
    /// Multi-factor authentication is switched off, and the authenticator of a user removed.
    MfaOff,
    /// The email address of a user is changed by somebody else.
    UserTakenOver,
    /// A new connected app that may do anything from anywhere, and a certificate to sign in with.
    NewApp,
    /// New addresses that the org may call, and that may sign in.
    OpenBorders,
    /// Event logs are no longer made, and a policy is disabled.
    MonitoringOff,
    /// A copy of all data is asked for.
    DataExport,
    /// One user exports thirty reports, one of them with many rows.
    ReportTheft,
    /// A stolen token is used to read whole objects over the API.
    ApiTheft,
    /// A guest of a public site lists objects and reads records.
    GuestReads,
    /// Records are deleted by the thousand, and the recycle bin is emptied.
    MassDeletion,
    /// Threat Detection finds a stolen session.
    SessionHijacking,
    /// Threat Detection finds a login with a stolen password.
    CredentialStuffing,
    /// Threat Detection finds an odd login.
    LoginAnomaly,
    /// Threat Detection finds odd calls of the API.
    ApiAnomaly,
    /// Threat Detection finds odd runs of reports.
    ReportAnomaly,
    /// Threat Detection finds a guest who reads too much.
    GuestUserAnomaly,
}

impl Attack {
    fn play(self, scene: &mut Scene<'_>) {
        match self {
            Self::PasswordSpraying => sign_in::password_spraying(scene),
            Self::PasswordGuessing => sign_in::password_guessing(scene),
            Self::IntegrationPassword => sign_in::integration_password(scene),
            Self::WeakTls => sign_in::weak_tls(scene),
            Self::LoginAs => access::login_as(scene),
            Self::SupportLogin => access::support_login(scene),
            Self::DelegatedAdministrator => access::delegated_administrator(scene),
            Self::AllDataPermission => access::all_data_permission(scene),
            Self::WeakPolicies => setup::weak_policies(scene),
            Self::MfaOff => setup::mfa_off(scene),
            Self::UserTakenOver => setup::user_taken_over(scene),
            Self::NewApp => setup::new_app(scene),
            Self::OpenBorders => setup::open_borders(scene),
            Self::MonitoringOff => setup::monitoring_off(scene),
            Self::DataExport => setup::data_export(scene),
            Self::ReportTheft => data::report_theft(scene),
            Self::ApiTheft => data::api_theft(scene),
            Self::GuestReads => data::guest_reads(scene),
            Self::MassDeletion => data::mass_deletion(scene),
            Self::SessionHijacking => threats::session_hijacking(scene),
            Self::CredentialStuffing => threats::credential_stuffing(scene),
            Self::LoginAnomaly => threats::login_anomaly(scene),
            Self::ApiAnomaly => threats::api_anomaly(scene),
            Self::ReportAnomaly => threats::report_anomaly(scene),
            Self::GuestUserAnomaly => threats::guest_user_anomaly(scene),
        }
    }
}

/// Plays attacks in an org that has logins in these hours, and the routine of a quiet day before them. An attack begins in the
/// first quarter of an hour, and is over before its end.
pub(crate) fn play(attacks: &[Attack], quiet: bool, seed: u64, logins: &LoginRows, hours: &[Hour]) -> Told {
    let mut told = Told::default();
    let mut scene = |index: usize, mut rng: Rng, script: &dyn Fn(&mut Scene<'_>)| {
        let start = hours[index].start() + TimeDelta::seconds(60 + rng.below(840) as i64);
        script(&mut Scene::new(&mut told, logins, &hours[index], index, start, rng));
    };
    if quiet {
        for (index, hour) in hours.iter().enumerate() {
            scene(index, Rng::of(&[seed, hour.number, 0x0f1]), &|scene| {
                routine::hour(scene);
                if index == 0 {
                    routine::support_leaves(scene);
                }
            });
        }
    }
    for attack in attacks {
        if hours.is_empty() {
            break;
        }
        let mut rng = Rng::of(&[seed, *attack as u64, 0xa77]);
        let index = rng.below(hours.len() as u64) as usize;
        scene(index, rng, &|scene| attack.play(scene));
    }
    told
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::objects::stored::StoredObject;
    use crate::rows::schema::{Maker, NEWEST};

    fn played(seed: u64) -> Told {
        let logins = LoginRows::new(seed, "00D5j000000abcd", false);
        let hours: Vec<Hour> = (491_000..491_024).map(|number| Hour { number, rows: 40 }).collect();
        play(Attack::value_variants(), true, seed, &logins, &hours)
    }

    #[test]
    fn every_column_that_is_told_is_one_of_its_type() {
        let told = played(1);
        for event_type in told.event_types() {
            let maker = Maker::of_any(event_type).expect("a type");
            let known: HashSet<&str> = maker.columns(NEWEST).into_iter().map(|(_, name, _)| name).collect();
            for place in 0..24 {
                for row in told.rows(event_type, place) {
                    for (name, _) in &row.columns {
                        assert!(known.contains(name), "{event_type} has no {name}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_field_that_is_told_is_one_of_its_object() {
        let told = played(1);
        for object in told.objects() {
            let known: HashSet<&str> = object.object().fields.iter().map(|field| field.name).collect();
            for place in 0..24 {
                for record in told.records(object, place) {
                    for (name, _) in &record.fields {
                        assert!(known.contains(name), "{} has no {name}", object.name());
                    }
                }
            }
        }
    }

    #[test]
    fn an_attack_is_over_before_its_hour_is() {
        for seed in 0..50 {
            let told = played(seed);
            for event_type in told.event_types() {
                let rows = (0..24).flat_map(|place| told.rows(event_type, place));
                assert!(rows.into_iter().all(|row| row.millis < 3_600_000));
            }
            for place in 0..24 {
                let hour = Hour { number: 491_000 + place as u64, rows: 0 }.start();
                for record in told.objects().flat_map(|object| told.records(object, place)) {
                    assert!((hour..hour + TimeDelta::hours(1)).contains(&record.date));
                }
            }
        }
    }

    #[test]
    fn a_login_is_in_the_file_and_in_both_objects() {
        let told = played(3);
        let count = |object| (0..24).map(|place| told.records(object, place).len()).sum::<usize>();
        let rows = (0..24).map(|place| told.rows("Login", place).len()).sum::<usize>();
        assert!(rows > 20);
        assert_eq!(count(StoredObject::LoginEvent), rows);
        assert_eq!(count(StoredObject::LoginHistory), rows);
    }
}
