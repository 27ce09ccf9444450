//! Runs a command as `wasmtime run -S http` does, with its flags and its exit status, by the same crates: for tests on machines
//! that have no `wasmtime`.
//!
//! As there, a command reaches the folders and variables that it was given, standard streams, clocks, and whatever HTTP reaches.
//! What this leaves out is what no test here needs: sockets, limits, other worlds. Requests travel by the transport of
//! `source-host`, which refuses nothing that the addresses of a test have.

use clap::Parser;
use e2e::wasi::{Wasi, linker};
use std::{path::PathBuf, process::ExitCode};
use wasmtime::{
    Cache, CacheConfig, Config, Engine, Result, Store, component::Component, error::Context as _,
};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtxBuilder, p2::bindings::Command};

/// What wasmtime ends with after a trap, as a shell reports an abort.
const TRAPPED: u8 = 134;

#[derive(Parser)]
#[command(about = "Runs a command as `wasmtime run -S http` does")]
enum Arguments {
    /// Runs a component of `wasi:cli/command`.
    Run {
        /// `http`: it gets HTTP.
        #[arg(short = 'S')]
        wasi: Vec<String>,
        /// A folder that it gets, and the name that it knows it by.
        #[arg(long, value_name = "FOLDER::NAME")]
        dir: Vec<String>,
        /// A variable that it gets.
        #[arg(long, value_name = "NAME=VALUE")]
        env: Vec<String>,
        /// The component's file, and what it gets as arguments.
        #[arg(trailing_var_arg = true, required = true)]
        command: Vec<String>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments::Run { wasi, dir, env, command } = Arguments::parse();
    match run(&wasi, &dir, &env, &command).await {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("Error: {error:?}");
            ExitCode::from(TRAPPED)
        }
    }
}

async fn run(wasi: &[String], folders: &[String], variables: &[String], command: &[String]) -> Result<u8> {
    let mut config = Config::new();
    if let Some(folder) = std::env::var_os("RUN_COMMAND_CACHE") {
        let mut cache = CacheConfig::new();
        cache.with_directory(PathBuf::from(folder));
        config.cache(Some(Cache::new(cache)?));
    }
    let engine = Engine::new(&config)?;
    let file = command.first().context("a component is missing")?;
    let component = Component::from_file(&engine, file)?;
    let linker = linker(&engine, wasi.iter().any(|wasi| wasi == "http"))?;
    let mut given = WasiCtxBuilder::new();
    given.inherit_stdio().args(command);
    for folder in folders {
        let (folder, name) = folder.split_once("::").unwrap_or((folder, folder));
        given.preopened_dir(folder, name, FsPerms::ReadWrite)?;
    }
    for variable in variables {
        let (name, value) = variable.split_once('=').context("a variable is given as NAME=VALUE")?;
        given.env(name, value);
    }
    let mut store = Store::new(&engine, Wasi::new(given.build())?);
    let command = Command::instantiate_async(&mut store, &component, &linker).await?;
    match command.wasi_cli_run().call_run(&mut store).await {
        Ok(Ok(())) => Ok(0),
        Ok(Err(())) => Ok(1),
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(exit) => Ok(u8::try_from(exit.0).unwrap_or(u8::MAX)),
            None => Err(error),
        },
    }
}
