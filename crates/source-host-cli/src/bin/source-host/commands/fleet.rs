//! `source-host fleet`: many hosts that share their tenants.

mod status;
mod tenants;

use std::path::Path;
use std::process::ExitCode;

use event_output::{ClientCertificate, NatsAuthentication, NatsSettings, OutputErrorKind, Secret};
use fleet::{JetStream, Layout};
use source_host::grouped;
use source_host_cli::fleet::{FleetError, Settings, work};
use source_host_cli::serve::Signals;

use super::exit::Exit;
use super::{serve, setup};
use crate::arguments::{FleetArgs, FleetCommand, FleetTenantsCommand, WorkerArgs};

const PASSWORD: &str = "SOURCE_HOST_NATS_PASSWORD";
/// Below it come the servers' answers. No reader of events may subscribe to it: they have configurations and checkpoints of all tenants.
const INBOX: &str = "_INBOX_FLEET";

pub(crate) async fn run(args: FleetArgs, cache: Option<&Path>) -> Result<ExitCode, Exit> {
    let mut layout = Layout::new(&args.fleet).map_err(Exit::from)?;
    layout.replicas = args.replicas;
    // Who only looks, or mistypes the name, makes nothing.
    layout.make = matches!(
        args.command,
        FleetCommand::Worker(_) | FleetCommand::Tenants { command: FleetTenantsCommand::Add { .. } }
    );
    layout.lease = args.lease;
    layout.window = args.window;
    layout.waiting_events = args.waiting_events;
    layout.waiting_bytes = args.waiting_bytes;
    let client = connect(&args).await?;
    match args.command {
        FleetCommand::Worker(worker) => return self::worker(worker, layout, client, cache).await,
        FleetCommand::Tenants { command } => {
            let engine = JetStream::open(client, layout).await.map_err(Exit::from)?;
            tenants::run(&engine, command, cache).await?;
        }
        FleetCommand::Status { json, watch } => {
            let engine = JetStream::open(client, layout).await.map_err(Exit::from)?;
            status::run(&engine, json, watch).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn connect(args: &FleetArgs) -> Result<fleet::Client, Exit> {
    let mut settings = NatsSettings::new("");
    settings.servers.clone_from(&args.servers);
    settings.ca_file.clone_from(&args.ca_file);
    if let (Some(certificate), Some(key)) = (&args.client_certificate, &args.client_key) {
        settings.client_certificate =
            Some(ClientCertificate { certificate_file: certificate.clone(), key_file: key.clone() });
    }
    settings.authentication = match (&args.credentials_file, &args.user) {
        (Some(path), _) => NatsAuthentication::CredentialsFile(path.clone()),
        (None, Some(user)) => {
            let password = std::env::var(PASSWORD)
                .map_err(|_| Exit::mistake(format!("the password of {user} is expected in {PASSWORD}")))?;
            NatsAuthentication::User { user: user.clone(), password: Secret::new(password) }
        }
        (None, None) => NatsAuthentication::None,
    };
    settings.connect("source-host fleet", INBOX).await.map_err(|error| match error.kind() {
        OutputErrorKind::Unavailable => Exit::failure(error),
        _ => Exit::mistake(error),
    })
}

async fn worker(
    args: WorkerArgs,
    layout: Layout,
    client: fleet::Client,
    cache: Option<&Path>,
) -> Result<ExitCode, Exit> {
    let components =
        args.components.unwrap_or_else(|| std::env::temp_dir().join(format!("source-host-{}", layout.fleet)));
    let mut settings = Settings::new(args.secrets, components);
    settings.places = args.places;
    settings.memory = args.memory;
    settings.drain = args.drain;
    settings.metrics = args.watch.metrics;
    settings.audit = args.watch.audit;
    let signals = Signals::default();
    serve::listen(signals.clone())?;
    let runtime = setup::runtime(cache)?;
    let worked =
        work(settings, layout, client, runtime, signals.stop).await.map_err(|error| match error {
            FleetError::Engine(error) => Exit::from(error),
            FleetError::Connection(error) => Exit::failure(error),
            error => Exit::mistake(error),
        })?;
    let (jobs, events, fenced) = (grouped(worked.jobs), grouped(worked.events), grouped(worked.fenced));
    eprintln!("stopped: {events} events in {jobs} jobs, fenced {fenced} times");
    Ok(ExitCode::SUCCESS)
}
