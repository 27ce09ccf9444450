//! The flags, and the commands that they belong to.

use std::ffi::OsString;
use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::{Args, Parser, Subcommand, ValueEnum};

/// The command by which the program runs itself, to compile a component apart. It is none of those that a person gives.
pub(crate) const COMPILE: &str = "compile";

const EXAMPLE: &str = r#"Configuration, CONFIG.toml (paths are relative to it):
  component = "source.wasm"               # or "oci://ghcr.io/acme/source:1.0", see `pull`
  [source]                                # for the component; see `describe`
  url   = "https://logs.example.com"
  token = { env = "LOGS_TOKEN" }          # or { file = "token.txt" }
  [state]
  path = "state.json"                     # how far collection has come
  [output]
  kind = "file"                           # or "stdout", the default
  path = "events.ndjson"
  [egress]
  allow = ["logs.example.com"]            # or "*.example.com", "host:port"; nothing else
  #ca_file = "ca.pem"                     # trusted besides the public authorities
  [limits]                                # optional; these are the defaults
  memory = "64MiB"
  call_time = "300s"

Start with:
  source-host inspect source.wasm                 which component it is, and what it could do
  source-host describe source.wasm                what it collects and how it is configured
  source-host init source.wasm                    writes a configuration to start with
  source-host schema source.wasm                  the JSON Schema of a configuration, for editors
  source-host check CONFIG.toml                   whether everything is in place
  source-host run CONFIG.toml --until-caught-up   collect what is there, then end
  source-host run CONFIG.toml                     collect until stopped (Ctrl-C loses nothing)
  source-host run CONFIG.toml --from 2026-11-01 --until 2026-11-08   a range of time, beside it
  source-host serve FOLDER                        the same for many tenants, a file each
  source-host fleet worker                        the same on many hosts, which share their tenants over NATS
  source-host pull CONFIG.toml                    takes the component from its registry, and pins it

Exit status: 0 done, 1 something failed, 2 a mistake in what was given (configuration, component, state)."#;

/// Runs a log source, a WebAssembly component, and writes its events as NDJSON.
#[derive(Parser)]
#[command(name = "source-host", version, after_help = EXAMPLE)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Keep compiled components in this folder; later starts are faster.
    #[arg(long, global = true, value_name = "FOLDER", env = "SOURCE_HOST_CACHE")]
    pub(crate) cache: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

#[derive(Args)]
pub(crate) struct LogArgs {
    /// How log lines are written to standard error.
    #[arg(long = "log", global = true, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) format: LogFormat,
    /// Say more: each request and each wait. Twice: everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Say nothing but warnings and errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Collect events.
    Run(RunArgs),
    /// Try each thing that collecting needs, and say how to mend what fails.
    Check(CheckArgs),
    /// Show what a component collects and how it is configured.
    Describe {
        /// The component's file.
        component: PathBuf,
        /// Print all of it as JSON, the configuration's JSON Schema included.
        #[arg(long)]
        json: bool,
    },
    /// Show which component it is (digest, version, licence), and what it could do.
    Inspect {
        /// The component's file, or oci://HOST/REPOSITORY:TAG, of which no more is read than what is said of it there.
        component: OsString,
        #[command(flatten)]
        registry: RegistryArgs,
        /// Print it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write a configuration to start with. Asks for what is required; never overwrites a file.
    Init(InitArgs),
    /// Collect for many tenants in one process: a folder with a configuration file for each.
    Serve(ServeArgs),
    /// Ask the server of a folder what its tenants are at, or have it pause one.
    Tenants {
        /// The folder that is served.
        folder: PathBuf,
        #[command(subcommand)]
        command: TenantsCommand,
    },
    /// Collect for many tenants on many hosts, which share them over NATS JetStream.
    Fleet(FleetArgs),
    /// Show the earlier states of a source, or go back to one of them: for when a component is put back to an older version.
    States(StatesArgs),
    /// Print the JSON Schema of the configuration file for a component, for an editor to complete and check it with.
    Schema {
        /// The component's file.
        component: PathBuf,
    },
    /// Take a component from its registry, verify it, and write down in source-host.lock which one it is.
    Pull(PullArgs),
    /// Put a component into a registry, with what it says of itself and its signature.
    Push(PushArgs),
    /// Say whether a component is signed by a key.
    Verify(VerifyArgs),
    /// Make an Ed25519 key to sign components with: NAME.pem, which is secret, and NAME.pub.
    Keygen {
        /// What the files are called. None is overwritten.
        #[arg(value_name = "NAME", default_value = "source-host-key")]
        name: PathBuf,
    },
    /// Sign a component: 64 bytes, in a file beside it that is called like it with .sig behind.
    Sign {
        /// The component's file.
        component: PathBuf,
        /// The private key, as `keygen` or `openssl genpkey -algorithm ed25519` writes it.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
}

/// How a registry is reached.
///
/// Without --username, what `docker login` left for it is used, if anything.
#[derive(Args)]
pub(crate) struct RegistryArgs {
    /// Who asks the registry. The password is in --password-file, or in the variable SOURCE_HOST_REGISTRY_PASSWORD.
    #[arg(long, value_name = "NAME", env = "SOURCE_HOST_REGISTRY_USERNAME")]
    pub(crate) username: Option<String>,
    /// The file that holds the password, or a token that the registry takes as one.
    #[arg(long, value_name = "FILE", requires = "username")]
    pub(crate) password_file: Option<PathBuf>,
    /// Certificates that the registry's is trusted by besides Mozilla's roots, in PEM form.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Speak plain HTTP with the registry. With one on this machine that is done anyway.
    #[arg(long)]
    pub(crate) insecure: bool,
}

/// Takes a component from its registry.
///
/// What a tag leads to is written down the first time. When it leads to another component later, that is told and nothing is changed,
/// until it is asked for with --update. `run` and `serve` use what is written down, and ask no tag.
#[derive(Args)]
pub(crate) struct PullArgs {
    /// A configuration file with component = "oci://…", or such a reference itself.
    #[arg(value_name = "CONFIG or oci://HOST/REPOSITORY:TAG")]
    pub(crate) target: OsString,
    /// Take what the tag leads to now, though it led to something else before.
    #[arg(long)]
    pub(crate) update: bool,
    /// The folder with source-host.lock and the components, for a reference [default: this one]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) folder: Option<PathBuf>,
    /// Write the component to this file as well, and its signature beside it if --signed-by asked for one.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// The public key that must have signed it. For a configuration, [admission] says so.
    #[arg(long, value_name = "FILE")]
    pub(crate) signed_by: Option<PathBuf>,
    /// Print what was pulled as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
}

/// Puts a component into a registry, as a WASM artifact that other tools take as well.
///
/// What `describe --json` prints is attached to it, and its signature: the one beside the file (COMPONENT.sig), or one that is made with
/// --key.
#[derive(Args)]
pub(crate) struct PushArgs {
    /// The component's file. With --wit, a folder with a WIT package.
    pub(crate) component: PathBuf,
    /// Where it goes: oci://HOST/REPOSITORY:TAG
    pub(crate) reference: String,
    /// Push the WIT package of a folder, in its binary form: the contract, for who writes a component or a host in another place.
    #[arg(long, conflicts_with = "key")]
    pub(crate) wit: bool,
    /// Sign it with this private key.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Have the tag lead to this component though it leads to another now.
    #[arg(long)]
    pub(crate) replace: bool,
    /// Print what was pushed as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
}

#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// The component's file, with its signature beside it, or oci://HOST/REPOSITORY:TAG
    pub(crate) component: OsString,
    /// The public key, as `keygen` or `openssl pkey -pubout` writes it.
    #[arg(long, value_name = "FILE")]
    pub(crate) signed_by: PathBuf,
    /// Print the finding as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
}

#[derive(Args)]
pub(crate) struct InitArgs {
    /// The component's file.
    pub(crate) component: PathBuf,
    /// The file to write.
    #[arg(short, long, value_name = "FILE", default_value = "source-host.toml")]
    pub(crate) output: PathBuf,
    /// A value, such as source.url=https://logs.example.com; may be given several times.
    ///
    /// Of a secret only where it lies: file:PATH or env:NAME. Values that are no texts are written as in TOML. What is
    /// required and not given is asked for if there is a terminal, and otherwise left to be filled in.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// Serves the tenants of a folder. acme.toml is the tenant `acme`; files are added, changed and removed while it runs.
///
/// A file is what `run` takes; paths in it are relative to the folder. Where it has no [state], its state lies with the others
/// in the folder's states.sqlite. SIGHUP reads everything again: of each tenant, once its turn is over, the file, secrets,
/// authorities and component, and opens outputs again. SIGTERM ends turns under way and loses nothing.
#[derive(Args)]
pub(crate) struct ServeArgs {
    /// The folder.
    pub(crate) folder: PathBuf,
    /// How many tenants may have their turn at the same time. A quarter is kept for those that use little.
    ///
    /// Where turns take long, of a component that computes or a server that does not answer, up to four times as many are under
    /// way, so that the others need not wait for them.
    #[arg(long, value_name = "NUMBER", default_value_t = 16, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub(crate) turns: usize,
    /// How many instances are kept in memory for tenants that are due again soon.
    #[arg(long, value_name = "NUMBER", default_value_t = 64)]
    pub(crate) instances: usize,
    /// Memory of all instances together, with the batches and the buffers of requests that the host holds for them.
    #[arg(long, value_name = "SIZE", default_value = "4GiB", value_parser = source_host_cli::parse_size)]
    pub(crate) memory: u64,
    /// How long turns may go on after a stop.
    #[arg(long, value_name = "TIME", default_value = "25s", value_parser = source_host_cli::parse_time)]
    pub(crate) drain: Duration,
    #[command(flatten)]
    pub(crate) watch: WatchArgs,
    /// Tell metrics of all tenants together, and not of each.
    #[arg(long, requires = "metrics")]
    pub(crate) metrics_summed: bool,
    /// Where states lie of tenants that say nothing else [default: states.sqlite in the folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) states: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct StatesArgs {
    /// The configuration file.
    pub(crate) config: PathBuf,
    /// Go on from the state with this revision. What was collected since comes again, with the same ids.
    #[arg(long, value_name = "REVISION", conflicts_with = "json")]
    pub(crate) roll_back: Option<u64>,
    /// Print them as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Subcommand)]
pub(crate) enum TenantsCommand {
    /// What all of them are at.
    List {
        /// Print it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Poll a tenant no more, until it is resumed.
    Pause {
        /// Its name.
        tenant: String,
    },
    /// Poll a tenant again, now.
    Resume {
        /// Its name.
        tenant: String,
    },
    /// Poll a tenant now, whenever it would be due.
    Poll {
        /// Its name.
        tenant: String,
    },
    /// Collect a range of time besides, for an incident: with the same event ids, and a state of its own.
    ///
    /// It goes on by itself, after a restart as well, until all of it is there. What a service hands out in files comes with
    /// the whole file.
    Backfill {
        /// Its name.
        tenant: String,
        #[command(flatten)]
        range: RangeArgs,
    },
    /// Show the earlier states that a tenant can go back to.
    History {
        /// Its name.
        tenant: String,
        /// Print them as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Have a tenant go on from an earlier state. What it has collected since comes again, with the same ids.
    RollBack {
        /// Its name.
        tenant: String,
        /// The state's revision, as `history` shows it.
        revision: u64,
    },
}

/// What a backfill collects.
#[derive(Args)]
pub(crate) struct RangeArgs {
    /// The beginning: 2026-11-01, or 2026-11-01T10:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = source_host_cli::parse_instant, required_unless_present = "end")]
    from: Option<SystemTime>,
    /// The end, which is not in it any more [default: now]
    #[arg(long, value_name = "TIME", value_parser = source_host_cli::parse_instant)]
    until: Option<SystemTime>,
    /// End the one that is under way.
    #[arg(long, conflicts_with_all = ["from", "until"])]
    end: bool,
}

impl RangeArgs {
    /// The times that are to be collected; none where a backfill is to end.
    pub(crate) fn times(&self) -> Option<Range<SystemTime>> {
        let from = self.from.filter(|_| !self.end)?;
        Some(from..self.until.unwrap_or_else(SystemTime::now))
    }
}

/// Many hosts that share their tenants.
///
/// Who polls which tenant and when, how each is configured, how far it has come and its events lie in NATS JetStream: nats-server 2.14 at
/// least, three of them, with `sync_interval: always`. There is no leader, and a worker may die at any moment. Events of the tenant
/// `acme` are in the stream FLEET-events, at the subject FLEET.events.acme.
#[derive(Args)]
pub(crate) struct FleetArgs {
    /// A server: nats://HOST:4222, or tls://; may be given several times, and with commas between.
    #[arg(
        long = "nats",
        global = true,
        value_name = "URL",
        env = "SOURCE_HOST_NATS",
        value_delimiter = ',',
        default_value = "nats://127.0.0.1:4222"
    )]
    pub(crate) servers: Vec<String>,
    /// Its name, which all its streams begin with.
    #[arg(long, global = true, value_name = "NAME", env = "SOURCE_HOST_FLEET", default_value = "fleet")]
    pub(crate) fleet: String,
    /// A file with the credentials of a user (.creds).
    #[arg(long, global = true, value_name = "FILE", env = "SOURCE_HOST_NATS_CREDENTIALS")]
    pub(crate) credentials_file: Option<PathBuf>,
    /// Who asks, where it is by a password: it is in the variable SOURCE_HOST_NATS_PASSWORD.
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "SOURCE_HOST_NATS_USER",
        conflicts_with = "credentials_file"
    )]
    pub(crate) user: Option<String>,
    /// Certificates that the servers' are trusted by besides Mozilla's roots, in PEM form.
    #[arg(long, global = true, value_name = "FILE", env = "SOURCE_HOST_NATS_CA")]
    pub(crate) ca_file: Option<PathBuf>,
    /// A certificate of this side, in PEM form.
    #[arg(long, global = true, value_name = "FILE", requires = "client_key")]
    pub(crate) client_certificate: Option<PathBuf>,
    /// Its key.
    #[arg(long, global = true, value_name = "FILE", requires = "client_certificate")]
    pub(crate) client_key: Option<PathBuf>,
    /// On how many servers each message lies, where a stream has to be made. One does for a trial.
    #[arg(long, global = true, value_name = "NUMBER", default_value_t = 3, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=5))]
    pub(crate) replicas: usize,
    /// For how long an event that comes again is known by its id, where the stream has to be made.
    #[arg(long, global = true, value_name = "TIME", default_value = "10m", value_parser = source_host_cli::parse_time)]
    pub(crate) window: Duration,
    /// How many events of a tenant wait for whoever reads them, where the stream has to be made. Then it is not polled until some are taken.
    #[arg(long, global = true, value_name = "NUMBER", default_value_t = 100_000)]
    pub(crate) waiting_events: u32,
    /// How many bytes of events of all tenants wait, where the stream has to be made [default: what the servers have]
    #[arg(long, global = true, value_name = "SIZE", value_parser = source_host_cli::parse_size)]
    pub(crate) waiting_bytes: Option<u64>,
    /// After how long another worker goes on with a tenant whose worker says nothing any more, where the queue has to be made.
    #[arg(long, global = true, value_name = "TIME", default_value = "30s", value_parser = source_host_cli::parse_time)]
    pub(crate) lease: Duration,
    #[command(subcommand)]
    pub(crate) command: FleetCommand,
}

#[derive(Subcommand)]
pub(crate) enum FleetCommand {
    /// Poll tenants, until it is stopped. SIGTERM ends what is under way and loses nothing.
    Worker(WorkerArgs),
    /// Which tenants there are, and how they are configured.
    Tenants {
        #[command(subcommand)]
        command: FleetTenantsCommand,
    },
    /// Show workers, the queue, and tenants that do not go on.
    Status {
        /// Print it as JSON.
        #[arg(long)]
        json: bool,
        /// Show it again every two seconds, until it is stopped.
        #[arg(long)]
        watch: bool,
    },
}

#[derive(Args)]
pub(crate) struct WorkerArgs {
    /// How many tenants are polled at the same time.
    #[arg(long, value_name = "NUMBER", default_value_t = 16, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub(crate) places: usize,
    /// Where the tenants' secrets lie: what { file = "…" } in a configuration is relative to, and any tenant may have.
    #[arg(long, value_name = "FOLDER", env = "SOURCE_HOST_SECRETS")]
    pub(crate) secrets: PathBuf,
    /// Where components are kept that were fetched [default: a folder for temporary files]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) components: Option<PathBuf>,
    /// Memory of all instances together, with the batches and the buffers of requests that the host holds for them.
    #[arg(long, value_name = "SIZE", default_value = "4GiB", value_parser = source_host_cli::parse_size)]
    pub(crate) memory: u64,
    /// How long jobs may go on after a stop.
    #[arg(long, value_name = "TIME", default_value = "25s", value_parser = source_host_cli::parse_time)]
    pub(crate) drain: Duration,
    #[command(flatten)]
    pub(crate) watch: WatchArgs,
}

#[derive(Subcommand)]
pub(crate) enum FleetTenantsCommand {
    /// Add a tenant, or have one go on with another configuration.
    ///
    /// Its component, which the configuration names, is brought to the fleet's store. Secrets stay where they are: { file = "…" } and
    /// { env = "…" } are looked up by the workers, and a file in which one stands itself is refused.
    Add {
        /// Its name.
        tenant: String,
        /// The configuration file. Without [state] and [output]: states lie with the fleet, and events go to its stream.
        config: PathBuf,
    },
    /// All of them.
    List {
        /// Print it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// One of them, with its configuration.
    Show {
        /// Its name.
        tenant: String,
        /// Print it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Poll a tenant no more, until it is resumed.
    Pause {
        /// Its name.
        tenant: String,
    },
    /// Poll a tenant again, now.
    Resume {
        /// Its name.
        tenant: String,
    },
    /// Collect a range of time besides, with the same event ids, and a position of its own.
    Backfill {
        /// Its name.
        tenant: String,
        #[command(flatten)]
        range: RangeArgs,
    },
    /// Remove a tenant, with how far it has come. Its events that wait stay.
    Remove {
        /// Its name.
        tenant: String,
    },
}

#[derive(Args)]
pub(crate) struct CheckArgs {
    /// The configuration file.
    pub(crate) config: PathBuf,
    /// Print the findings as JSON, what there is to collect included.
    #[arg(long)]
    pub(crate) json: bool,
    /// Say as a table what there is to collect: files by type and day, bytes, about how many requests and minutes.
    ///
    /// For streams that have `from` or `until`, or for all of them with --from and --until.
    #[arg(long)]
    pub(crate) plan: bool,
    /// The beginning of the time that is planned for, as in `run`: 2026-11-01, or 2026-11-01T10:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = source_host_cli::parse_instant, requires = "plan")]
    pub(crate) from: Option<SystemTime>,
    /// The end, which is not in it any more [default: now]
    #[arg(long, value_name = "TIME", value_parser = source_host_cli::parse_instant, requires = "from")]
    pub(crate) until: Option<SystemTime>,
}

#[derive(Args)]
pub(crate) struct RunArgs {
    /// The configuration file.
    pub(crate) config: PathBuf,
    /// End when nothing is left to read.
    #[arg(long)]
    pub(crate) until_caught_up: bool,
    /// Collect a range of time alone, from here on, and end when all of it is there: 2026-11-01, or 2026-11-01T10:00:00Z.
    ///
    /// For an incident, beside a collection that goes on: events have the same ids, and the state lies beside the other one, in a
    /// file that has the range in its name.
    #[arg(long, value_name = "TIME", value_parser = source_host_cli::parse_instant, requires = "until")]
    pub(crate) from: Option<SystemTime>,
    /// The end of that range, which is not in it any more.
    #[arg(long, value_name = "TIME", value_parser = source_host_cli::parse_instant, requires = "from")]
    pub(crate) until: Option<SystemTime>,
    /// With --until-caught-up: how long to wait out trouble that passes by itself without any progress.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = source_host_cli::parse_time)]
    pub(crate) give_up_after: Duration,
    /// Write what was done to this file, as one JSON object.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) watch: WatchArgs,
}

#[derive(Args)]
pub(crate) struct WatchArgs {
    /// Tell metrics (/metrics, for Prometheus) and health (/healthz, /readyz) at this address, such as 127.0.0.1:9464
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) metrics: Option<std::net::SocketAddr>,
    /// Write a line of JSON for each request of a component to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) audit: Option<PathBuf>,
}
