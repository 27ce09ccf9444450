//! `salesforce-sim`: a simulated org to point a log collector at.

mod arguments;
mod files;
mod settings;

use std::io::Write as _;
use std::process::ExitCode;

use clap::error::ErrorKind as UsageKind;
use clap::{CommandFactory as _, Parser as _};
use salesforce_sim::{Interval, Oddities, PrivateKey, Simulator};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use self::arguments::Arguments;
use self::files::{make_key, read_files};
use self::settings::{settings, take_flags};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (key, mut oddities) = match read_files(&arguments) {
        Ok(read) => read,
        Err(mistakes) => Arguments::command().error(UsageKind::InvalidValue, mistakes.join("\n")).exit(),
    };
    let key = match key.map_or_else(|| make_key(&arguments.key_file), Ok) {
        Ok(key) => key,
        Err(problem) => Arguments::command().error(UsageKind::InvalidValue, problem).exit(),
    };
    take_flags(&mut oddities, &arguments);
    match run(arguments, &key, oddities).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("salesforce-sim: {problem}");
            ExitCode::FAILURE
        }
    }
}

async fn run(
    arguments: Arguments,
    key: &PrivateKey,
    oddities: Oddities,
) -> Result<(), Box<dyn std::error::Error>> {
    let settings = settings(&arguments, key.public_key()?, oddities);
    let (client_id, username) = (settings.client_id.clone(), settings.username.clone());
    let secrets =
        (settings.client_secret.clone(), settings.password.clone(), settings.security_token.clone());
    let refresh_token = settings.refresh_token.clone();
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
        "client_secret": secrets.0,
        "password": secrets.1,
        "security_token": secrets.2,
        "refresh_token": refresh_token,
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
