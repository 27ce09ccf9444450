//! A source as a program.
//!
//! A component of `wasi:cli/command`, once it is composed with a source and with the gate (`xtask compose`): it reads a
//! configuration, polls the source, writes its events into a file or to standard output, and keeps its state in a file of a folder that it was
//! given. It knows nothing of what it collects. What a person reads of it is `arguments` (`--help`) and `docs/command.md`.
//!
//! There is no system under it: the standard library of `wasm32-unknown-unknown` has no files, clocks and streams. Those of WASI
//! are in `files`, `clock` and `streams`, and nothing but what these ask for is imported.
//!
//! It reads a configuration and checks events with the code of `source-host`, from its files, and keeps a state with that of
//! `state-store`: what one of them takes, refuses or writes, the other does too, in the same words.
//!
//! Each of these knows only what stands below it: `bindings`, `secrets`, `units`; `clock`, `files`, `streams`, `words`; `log`; `arguments`,
//! `config`, `output`, `state`; `collect`; `program`.

mod arguments;
mod bindings;
mod clock;
mod collect;
mod config;
mod files;
mod log;
mod output;
mod program;
mod secrets;
mod state;
mod streams;
mod units;
mod words;

use bindings::Command;
use bindings::exports::wasi::cli0_2_0::run::Guest;
use bindings::wasi::cli0_2_12::exit::exit_with_code;

impl Guest for Command {
    fn run() -> Result<(), ()> {
        // Without it a panic ends the program without a word.
        std::panic::set_hook(Box::new(|panic| log::error(&format!("a mistake in this program: {panic}"))));
        match program::run() {
            0 => Ok(()),
            status => {
                exit_with_code(status);
                Err(())
            }
        }
    }
}
