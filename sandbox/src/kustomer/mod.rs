//! The Kustomer emulator.
