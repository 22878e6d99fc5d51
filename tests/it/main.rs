//! Behaviour from outside: real files through the real programs, real sockets, real signatures.

#![expect(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the report")]

mod support;

mod accept;
mod alarms;
mod at_once;
mod broken;
mod check;
mod circuits;
mod clock;
mod commands;
mod config;
mod connect;
mod customerio;
mod docs;
mod email;
mod examples;
mod files;
mod fmt;
mod functions;
mod home;
mod hostile;
mod import;
mod inline;
mod kill;
mod kustomer;
mod limits;
mod lists;
mod lock;
mod look;
mod mqtt;
mod mqtt_hostile;
mod next;
mod polled;
mod programs;
mod referralcandy;
mod register;
mod reload;
mod replay;
mod retry;
mod rss;
mod rules;
mod sesame;
mod stores;
mod stripe;
mod versions;
mod waits;
mod web;
mod wire;
