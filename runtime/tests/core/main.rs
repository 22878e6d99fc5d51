//! The core: store, journal, runs and engine, with a clock and a network of their own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by failing there")]

mod absence;
mod alarms;
mod backtests;
mod birth;
mod connections;
mod crash;
mod crash_limits;
mod day;
mod decoding;
mod disk;
mod effects;
mod engine;
mod evaluation;
mod fixture;
mod inbox;
mod index;
mod items;
mod jumps;
mod limits;
mod lost;
mod matching;
mod migrating;
mod model;
mod numbers;
mod power;
mod reference;
mod replay;
mod replays;
mod reports;
mod retention;
mod schedules;
mod simulation;
mod stale;
mod states;
mod store;
mod stress;
mod versions;
mod waits;
