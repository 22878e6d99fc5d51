//! The keys: one letter for the table, then parts that sort as the values do.
//!
//! | | key | value |
//! |---|---|---|
//! | `m` | name | meta data |
//! | `e` | event number | event |
//! | `i` | event id, connection | event number |
//! | `s` | key of a start | its instant |
//! | `t` | instant, key of a start | |
//! | `r` | run id | head |
//! | `o` | run number | run id |
//! | `f` | flow, run number | run id |
//! | `v` | event number, run id | |
//! | `j` | run id, number | entry |
//! | `p` | hash | plan |
//! | `P` | hash of a plan | how many runs are kept that began with it |
//! | `w` | instant, run id | |
//! | `a` | run id of an active run | |
//! | `d` | run number of a dead run | run id |
//! | `c` | connection, source | cursor |
//! | `z` | flow that is paused | instant |
//! | `g` | run number of a waiting run | run id |
//! | `l` | flow, limit, its number, hash of its key | when it says nothing any more, what was counted |
//! | `n` | flow, hash of a `once per` key | run id |
//! | `h` | flow, hash of a turn's key | id of the run that has the turn |
//! | `y` | flow, hash of a turn's key, number of a run in the line | run id |
//! | `k` | run id | what is kept of its limits |
//! | `x` | event number, flow that did not start | why |
//! | `u` | connection, source, kind of a wait for an event | event types and field |
//! | `U` | connection, source, kind, hash of the field's value, run id | |
//! | `O` | number of an event that is to be offered to runs that wait | |
//! | `b` | kind, owner, key of a row of the book | due instant or none, JSON |
//! | `q` | kind, due instant, owner, key of a row of the book | |
//! | `M` | kind of alarm, whom it is about, what of it | since when, how often, why |
//! | `N` | number of an event of which something does not fit | |
//! | `L` | kind, connection or account | what it has used, or how it is doing |

use jiff::Timestamp;

use super::alarms::{AlarmKey, AlarmKind};
use super::book::BookKey;
use super::records::AwaitedBy;

/// No event, run or record of the inbox gets a higher number: a million a second reach it in a hundred thousand years.
pub(super) const HIGHEST: u64 = 1 << 62;

/// The length of the table's letter.
pub(super) const LETTER: usize = 1;

/// A key under construction.
#[derive(Debug, Clone)]
pub(super) struct Key(pub(super) Vec<u8>);

impl Key {
    /// Begins a key of a table.
    pub(super) fn of(table: u8) -> Self {
        Self(vec![table])
    }

    /// Adds a text that further parts may follow. Texts hold no zero byte: [`part`] takes it out.
    pub(super) fn text(mut self, text: &str) -> Self {
        self.0.extend(text.bytes().map(|byte| byte.max(1)));
        self.0.push(0);
        self
    }

    /// Adds a number.
    pub(super) fn number(mut self, number: u64) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    /// Adds an instant.
    pub(super) fn instant(self, at: Timestamp) -> Self {
        // Shifted, so that instants before 1970 sort before those after.
        self.number(at.as_millisecond().cast_unsigned() ^ (1 << 63))
    }

    /// Adds bytes.
    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    /// Returns the first key behind all that begin with this one.
    pub(super) fn end(&self) -> Vec<u8> {
        let mut end = self.0.clone();
        while let Some(last) = end.pop() {
            if last < u8::MAX {
                end.push(last + 1);
                break;
            }
        }
        end
    }
}

impl std::ops::Deref for Key {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Reads a number at a place of a key or value.
pub(super) fn number_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// Reads an instant at a place of a key or value.
pub(super) fn instant_at(bytes: &[u8], at: usize) -> Option<Timestamp> {
    Timestamp::from_millisecond((number_at(bytes, at)? ^ (1 << 63)).cast_signed()).ok()
}

/// Reads the text at a place, which a zero byte ends.
pub(super) fn text_at(bytes: &[u8], at: usize) -> Option<&str> {
    let rest = bytes.get(at..)?;
    let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
    std::str::from_utf8(&rest[..end]).ok()
}

pub(super) fn meta(name: &str) -> Key {
    Key::of(b'm').text(name)
}

pub(super) fn event(seq: u64) -> Key {
    Key::of(b'e').number(seq)
}

pub(super) fn event_index(id: &str, connection: &str) -> Key {
    Key::of(b'i').text(id).text(connection)
}

pub(super) fn start(key: &[u8; 16]) -> Key {
    Key::of(b's').bytes(key)
}

pub(super) fn start_at(at: Timestamp, key: &[u8]) -> Key {
    Key::of(b't').instant(at).bytes(key)
}

pub(super) fn run(id: &str) -> Key {
    Key::of(b'r').text(id)
}

pub(super) fn run_order(seq: u64) -> Key {
    Key::of(b'o').number(seq)
}

pub(super) fn run_of_flow(flow: &str, seq: u64) -> Key {
    Key::of(b'f').text(flow).number(seq)
}

pub(super) fn run_of_event(event: u64, run: &str) -> Key {
    Key::of(b'v').number(event).text(run)
}

pub(super) fn journal(run: &str, number: u32) -> Key {
    Key::of(b'j').text(run).number(u64::from(number))
}

pub(super) fn plan(hash: &str) -> Key {
    Key::of(b'p').text(hash)
}

pub(super) fn plan_runs(hash: &str) -> Key {
    Key::of(b'P').text(hash)
}

pub(super) fn timer(at: Timestamp, run: &str) -> Key {
    Key::of(b'w').instant(at).text(run)
}

pub(super) fn active(run: &str) -> Key {
    Key::of(b'a').text(run)
}

pub(super) fn dead(seq: u64) -> Key {
    Key::of(b'd').number(seq)
}

pub(super) fn cursor(connection: &str, source: &str) -> Key {
    Key::of(b'c').text(connection).text(source)
}

pub(super) fn paused(flow: &str) -> Key {
    Key::of(b'z').text(flow)
}

pub(super) fn book(key: &BookKey) -> Key {
    Key::of(b'b').text(key.kind).text(&key.owner).text(&key.key)
}

pub(super) fn book_due(at: Timestamp, key: &BookKey) -> Key {
    Key::of(b'q').text(key.kind).instant(at).text(&key.owner).text(&key.key)
}

pub(super) fn waiting(seq: u64) -> Key {
    Key::of(b'g').number(seq)
}

pub(super) fn tally(flow: &str, limit: u8, number: u8, key: &[u8; 16]) -> Key {
    Key::of(b'l').text(flow).bytes(&[limit, number]).bytes(key)
}

pub(super) fn once(flow: &str, key: &[u8; 16]) -> Key {
    Key::of(b'n').text(flow).bytes(key)
}

pub(super) fn turn(flow: &str, key: &[u8; 16]) -> Key {
    Key::of(b'h').text(flow).bytes(key)
}

pub(super) fn line_of(flow: &str, key: &[u8; 16]) -> Key {
    Key::of(b'y').text(flow).bytes(key)
}

pub(super) fn line(flow: &str, key: &[u8; 16], seq: u64) -> Key {
    line_of(flow, key).number(seq)
}

pub(super) fn kept(run: &str) -> Key {
    Key::of(b'k').text(run)
}

pub(super) fn drops_of(event: u64) -> Key {
    Key::of(b'x').number(event)
}

pub(super) fn drop_of(event: u64, flow: &str) -> Key {
    drops_of(event).text(flow)
}

pub(super) fn awaited_kind(connection: &str, source: &str, kind: &str) -> Key {
    Key::of(b'u').text(connection).text(source).text(kind)
}

pub(super) fn awaiting_of_kind(connection: &str, source: &str, kind: &str) -> Key {
    Key::of(b'U').text(connection).text(source).text(kind)
}

/// Connection, source and kind; without a value the runs that wait for any.
pub(super) fn awaiting_key((connection, source, kind): (&str, &str, &str), key: Option<&[u8; 16]>) -> Key {
    let kind = awaiting_of_kind(connection, source, kind);
    match key {
        Some(key) => kind.bytes(&[1]).bytes(key),
        None => kind.bytes(&[0]).bytes(&[0; 16]),
    }
}

pub(super) fn awaiting(by: &AwaitedBy, run: &str) -> Key {
    awaiting_key((&by.connection, &by.source, &by.kind_id()), by.key.as_ref()).text(run)
}

pub(super) fn meter(kind: u8, name: &str) -> Key {
    Key::of(b'L').bytes(&[kind]).text(name)
}

pub(super) fn offer(event: u64) -> Key {
    Key::of(b'O').number(event)
}

pub(super) fn alarms_of(kind: AlarmKind) -> Key {
    Key::of(b'M').text(kind.as_str())
}

pub(super) fn alarms_about(kind: AlarmKind, subject: &str) -> Key {
    alarms_of(kind).text(subject)
}

pub(super) fn alarm(key: &AlarmKey) -> Key {
    alarms_about(key.kind, &key.subject).text(&key.detail)
}

pub(super) fn misfit(event: u64) -> Key {
    Key::of(b'N').number(event)
}
