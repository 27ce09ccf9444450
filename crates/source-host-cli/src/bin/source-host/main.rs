//! `source-host`: runs a log source from a configuration file.

mod arguments;
mod commands;
mod console;

use std::process::ExitCode;

use clap::Parser as _;
use source_host::Compiler;

use self::arguments::{COMPILE, Cli, Command};

/// Threads beside those that components compute on: for the network, and so that who is due gets a slot before who has had many.
const MORE_THREADS: usize = 2;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|first| first == COMPILE) {
        return Compiler::run_as_child();
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from) + MORE_THREADS;
    let executor = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    match executor {
        Ok(executor) => executor.block_on(run()),
        Err(error) => {
            eprintln!("error: cannot start threads: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> ExitCode {
    let cli = Cli::parse();
    let console = console::Console::start(&cli.log, matches!(cli.command, Command::Run(_)));
    let cache = cli.cache.as_deref();
    let outcome = match cli.command {
        Command::Run(args) => commands::run::run(args, cache, &console).await,
        Command::Check(arguments) => commands::check::run(&arguments, cache).await,
        Command::Describe { component, json } => commands::describe::run(&component, json, cache).await,
        Command::Inspect { component, registry, json } => {
            commands::inspect::run(&component, &registry, json, cache).await
        }
        Command::Init(args) => commands::init::run(args, cache).await,
        Command::Serve(args) => commands::serve::run(args, cache).await,
        Command::Tenants { folder, command } => commands::serve::tenants(&folder, command).await,
        Command::Fleet(args) => commands::fleet::run(args, cache).await,
        Command::States(args) => commands::states::run(args, cache).await,
        Command::Schema { component } => commands::schema::run(&component, cache).await,
        Command::Pull(args) => commands::pull::run(args).await,
        Command::Push(args) => commands::push::run(args, cache).await,
        Command::Verify(args) => commands::verify::run(&args).await,
        Command::Keygen { name } => commands::keys::generate(&name),
        Command::Sign { component, key } => commands::keys::sign(&component, &key),
    };
    console.clear();
    match outcome {
        Ok(code) => code,
        Err(exit) => {
            eprintln!("error: {}", exit.message);
            ExitCode::from(exit.status)
        }
    }
}
