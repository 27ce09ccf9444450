//! `salesforce-sim`: a simulated org to point a log collector at.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::ErrorKind as UsageKind;
use clap::{CommandFactory as _, Parser};
use salesforce_sim::{Interval, OrgSettings, PrivateKey, Rows, Simulator, Workload, generate_key};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

/// Runs a simulated Salesforce org on this machine.
///
/// The org has Login event log files, hourly and daily, for some past hours. Clients sign in with the JWT bearer flow,
/// query EventLogFile with SOQL and download the files, as they would from Salesforce. The same seed gives the same users,
/// ids and rows.
///
/// At the start it prints one line of JSON with everything a client needs, then serves until SIGINT or SIGTERM. It listens
/// on 127.0.0.1 only.
#[derive(Debug, Parser)]
#[command(name = "salesforce-sim", version, after_long_help = EXAMPLES)]
struct Arguments {
    /// Port of the org; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,

    /// Port of the control listener; 0 takes a free one
    ///
    /// GET /truth?interval=hourly streams the event ids that a complete collection delivers, GET /stats counts, POST
    /// /expire-sessions ends every session, POST /clock {"advance_seconds":n} moves the org's clock.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    control_port: u16,

    /// Number that everything random follows from
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,

    /// How many past hours have logs
    ///
    /// The last one ends five full hours ago, as Salesforce makes an hourly file 3 to 6 hours late.
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=87_600))]
    hours: u32,

    /// How many rows there are in all hours together
    ///
    /// More by day than by night; an hour that gets none has no file. A row takes about 560 bytes of CSV.
    #[arg(long, value_name = "ROWS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000_000))]
    rows: u64,

    /// PEM file with the client's RSA private key, which the org verifies sign-ins with
    ///
    /// Made with mode 0600 if it does not exist. PKCS#8 or PKCS#1, at least 2048 bits, not encrypted.
    #[arg(long, value_name = "FILE", default_value = "salesforce-sim-key.pem")]
    key_file: PathBuf,

    /// Consumer key of the app that may sign in (claim `iss`)
    #[arg(long, value_name = "KEY", default_value_t = OrgSettings::default().client_id)]
    client_id: String,

    /// User that may sign in (claim `sub`)
    #[arg(long, value_name = "USER", default_value_t = OrgSettings::default().username)]
    username: String,

    /// An org without hourly files: daily ones only, and no field `Interval`
    #[arg(long)]
    no_hourly: bool,

    /// Most records in one page of a query answer, 1 to 2000
    #[arg(long, value_name = "RECORDS", default_value_t = 2_000, value_parser = clap::value_parser!(u16).range(1..=2_000))]
    page_size: u16,
}

const EXAMPLES: &str = r#"Examples:
  A small org with a day of logs, on a free port:
      salesforce-sim

  A week with two million logins, always on the same ports:
      salesforce-sim --port 8080 --control-port 8081 --hours 168 --rows 2000000

  What a complete collection of the hourly files must deliver:
      curl 'http://127.0.0.1:8081/truth?interval=hourly'

  A token that has run out, and a clock that is two hours further:
      curl -X POST http://127.0.0.1:8081/expire-sessions
      curl -X POST http://127.0.0.1:8081/clock -d '{"advance_seconds":7200}'

Exit status: 0 after SIGINT or SIGTERM, 1 if it cannot run, 2 if a flag is wrong."#;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let key = match read_or_make_key(&arguments.key_file) {
        Ok(key) => key,
        Err(problem) => {
            let message =
                format!("invalid value '{}' for '--key-file': {problem}", arguments.key_file.display());
            Arguments::command().error(UsageKind::InvalidValue, message).exit()
        }
    };
    match run(arguments, &key).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("salesforce-sim: {problem}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments, key: &PrivateKey) -> Result<(), Box<dyn std::error::Error>> {
    let settings = OrgSettings {
        seed: arguments.seed,
        port: arguments.port,
        control_port: arguments.control_port,
        client_id: arguments.client_id,
        username: arguments.username,
        public_key: Some(key.public_key()?),
        hourly_files: !arguments.no_hourly,
        page_size: arguments.page_size.into(),
        workload: Workload {
            hours: arguments.hours,
            rows: Rows::Total(arguments.rows),
            ..Workload::default()
        },
        ..OrgSettings::default()
    };
    let (client_id, username) = (settings.client_id.clone(), settings.username.clone());
    let audience = settings.audiences.first().cloned();
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let simulator = Simulator::start(settings).await?;
    let interval = if arguments.no_hourly { Interval::Daily } else { Interval::Hourly };
    let rows: u64 = simulator.org().event_log_files(interval).iter().map(|file| file.rows).sum();
    let line = json!({
        "url": simulator.url(),
        "control_url": simulator.control_url(),
        "client_id": client_id,
        "username": username,
        "key_file": arguments.key_file,
        "audience": audience,
        "hours": arguments.hours,
        "rows": rows,
    });
    let mut out = std::io::stdout();
    writeln!(out, "{line}")?;
    out.flush()?;
    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    Ok(())
}

/// Reads the key, or makes one that only its owner can read.
fn read_or_make_key(path: &Path) -> Result<PrivateKey, Box<dyn std::error::Error>> {
    match fs::read_to_string(path) {
        Ok(pem) => return Ok(PrivateKey::from_pem(&pem)?),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    let key = generate_key()?;
    let pem = key.pkcs8_pem()?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(pem.as_bytes())?;
    Ok(key)
}
