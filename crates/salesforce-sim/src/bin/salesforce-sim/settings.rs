//! From flags to the settings of an org.

use chrono::TimeDelta;
use salesforce_sim::{
    Crowd, FaultAction, FaultRule, FileEnd, Files, Objects, Oddities, OrgSettings, PlannedFault, PublicKey,
    Rows, Workload, event_types,
};

use super::arguments::Arguments;

/// The settings that the flags ask for.
pub(crate) fn settings(arguments: &Arguments, public_key: PublicKey, oddities: Oddities) -> OrgSettings {
    let known = event_types().into_iter().map(str::to_owned);
    let all = arguments.event_types == ["all"];
    OrgSettings {
        client_secret: arguments.client_secret.clone(),
        password: arguments.password.clone(),
        security_token: arguments.security_token.clone(),
        obstacles: arguments.obstacle.clone(),
        session_lifetime: TimeDelta::minutes(arguments.session_minutes.into()),
        max_tokens: arguments.max_tokens.into(),
        session_refusal: arguments.session_refusal,
        daily_api_limit: arguments.daily_api_limit,
        clock_skew: TimeDelta::seconds(arguments.clock_skew),
        files: Files {
            event_types: if all { known.collect() } else { arguments.event_types.clone() },
            late_one_in: arguments.late_one_in,
            late_by: TimeDelta::hours(arguments.late_by.into()),
            repeated_rows: arguments.repeated_rows,
            reissue_keeps_id: arguments.reissue_keeps_id,
            hidden_one_in: arguments.hidden_one_in,
            hidden_for: TimeDelta::minutes(arguments.hidden_minutes.into()),
            retention: Some(TimeDelta::days(arguments.retention_days.into())),
            columns_change: arguments.columns_change,
            nul_bytes: arguments.nul_bytes,
            repeated_header: arguments.repeated_header,
        },
        objects: Objects {
            settle: TimeDelta::seconds(arguments.settle_seconds.into()),
            max_rows: arguments.max_object_rows,
            audit_rows_per_hour: arguments.audit_rows,
            api_rows_per_hour: arguments.api_rows,
            report_rows_per_hour: arguments.report_rows,
            anomaly_rows_per_hour: arguments.anomaly_rows,
            aura_rows_per_hour: arguments.aura_rows,
            crowd: arguments.crowd_at.zip(arguments.crowd_rows).map(|(at, rows)| Crowd {
                at,
                rows,
                objects: arguments.crowd_objects.clone(),
            }),
        },
        seed: arguments.seed,
        port: arguments.port,
        control_port: arguments.control_port,
        client_id: arguments.client_id.clone(),
        username: arguments.username.clone(),
        public_key: Some(public_key),
        hourly_files: !arguments.no_hourly,
        page_size: arguments.page_size.into(),
        oddities,
        workload: Workload {
            hours: arguments.hours,
            rows: Rows::Total(arguments.rows),
            end: arguments.end,
            attacks: arguments.attack.clone(),
            quiet: arguments.quiet,
        },
        ..OrgSettings::default()
    }
}

/// What flags say of the odd answers, before what the file says.
pub(crate) fn take_flags(oddities: &mut Oddities, arguments: &Arguments) {
    let every = |action| FaultRule::from(PlannedFault::every("", action));
    oddities.faults.extend(arguments.totals.map(|says| every(FaultAction::Total { says })));
    let date = arguments.date_header_ahead.map(Some).or(arguments.no_date_header.then_some(None));
    oddities.faults.extend(date.map(|ahead_seconds| every(FaultAction::DateHeader { ahead_seconds })));
    oddities.locator_refusal = arguments.locator_refusal.or(oddities.locator_refusal);
    oddities.doubles = arguments.doubles.unwrap_or(oddities.doubles);
    oddities.empty_files = arguments.empty_files.or(oddities.empty_files);
    if arguments.blank_line_at_end {
        oddities.file_end = Some(FileEnd { text: "\n".to_owned(), counted: false, one_in: 1 });
    }
}
