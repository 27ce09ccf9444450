//! The outputs, against receivers that behave in every way.
#![cfg(test)]

mod answers;
mod conforming;
mod killed;
mod nats;
mod support;
