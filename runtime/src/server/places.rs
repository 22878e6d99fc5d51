//! Who may have a connection: so many at a time, and so many from one address.
//!
//! Where all places are taken, whoever has been idle for the longest gives way to whoever comes, since an open connection
//! is nothing that one has to be given twice. A request that is being answered is never given up; where all places are taken by
//! such, there are some more, on which one is told to come again, or that the daemon lives.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::limits::Limits;

/// So long a sender may take for a body, or for reading its answer, before it gives way to others.
const GRACE: Duration = Duration::from_secs(2);
/// So many more connections there may be where all others have a request that is being answered.
const SPARE: usize = 64;
/// How often is looked again whether somebody can give way.
const AGAIN: Duration = Duration::from_millis(100);

/// What a connection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It has no request, or not the whole head of one.
    Waits,
    /// A body is on its way in.
    Receives,
    /// An answer is on its way out.
    Answers,
    /// A request is being answered.
    Works,
}

/// All places of one listener.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    most_per_address: usize,
    began: Instant,
    inner: Mutex<Inner>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    /// Those that were told to go are not among them.
    taken: HashMap<u64, Arc<Seat>>,
    /// How many each address has.
    addresses: HashMap<Option<IpAddr>, usize>,
}

#[derive(Debug)]
struct Seat {
    address: Option<IpAddr>,
    /// The phase in the lowest two bits; above, since when: milliseconds after the beginning.
    state: AtomicU64,
    go: Notify,
    /// It was told to go.
    gone: AtomicBool,
}

/// The place of one connection; dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Place {
    all: Arc<Places>,
    number: u64,
    seat: Arc<Seat>,
    spare: bool,
}

/// An address has as many connections as it may, and none of them can give way.
#[derive(Debug)]
pub(super) struct TooMany;

impl Places {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            most: limits.connections.max(1),
            most_per_address: limits.connections_per_address.max(1),
            began: Instant::now(),
            inner: Mutex::default(),
            freed: Notify::new(),
        }
    }

    /// Returns a place for a connection from this address, and waits for it where somebody is about to give way.
    pub(super) async fn enter(this: &Arc<Self>, peer: Option<IpAddr>) -> Result<Place, TooMany> {
        let address = peer.and_then(sender);
        loop {
            if let Some(place) = Self::try_enter(this, address)? {
                return Ok(place);
            }
            // Somebody leaves, or becomes one who can give way.
            drop(tokio::time::timeout(AGAIN, this.freed.notified()).await);
        }
    }

    fn try_enter(this: &Arc<Self>, address: Option<IpAddr>) -> Result<Option<Place>, TooMany> {
        let mut inner = this.inner();
        // Loopback has no bound of its own: behind a reverse proxy every sender comes from there.
        let held = inner.addresses.get(&address).copied().unwrap_or(0);
        if address.is_some() && held >= this.most_per_address && !this.send_away(&mut inner, Some(address)) {
            return Err(TooMany);
        }
        let room = inner.taken.len() < this.most || this.send_away(&mut inner, None);
        let spare = inner.taken.len() >= this.most;
        let all_work = || inner.taken.values().all(|seat| seat.state().0 == Phase::Works);
        if !room && (inner.taken.len() >= this.most + SPARE || !all_work()) {
            return Ok(None);
        }
        let number = inner.next;
        inner.next += 1;
        let seat = Arc::new(Seat {
            address,
            state: AtomicU64::new(this.state(Phase::Waits)),
            go: Notify::new(),
            gone: AtomicBool::new(false),
        });
        inner.taken.insert(number, Arc::clone(&seat));
        *inner.addresses.entry(address).or_default() += 1;
        Ok(Some(Place { all: Arc::clone(this), number, seat, spare }))
    }

    /// Makes room where the system has no more of what a connection needs: some go, not one alone, since more may come.
    /// Tells whether somebody goes.
    pub(super) fn give_way(&self) -> bool {
        let mut inner = self.inner();
        let some = inner.taken.len() / 16 + 1;
        (0..some).filter(|_| self.send_away(&mut inner, None)).count() > 0
    }

    /// Tells the one to go that loses least by it, of all or of one address. Whoever holds most is asked first.
    fn send_away(&self, inner: &mut Inner, of: Option<Option<IpAddr>>) -> bool {
        let now = self.state(Phase::Waits) >> 2;
        let patient = now.saturating_sub(GRACE.as_millis().try_into().unwrap_or(u64::MAX));
        let candidates = inner.taken.iter().filter(|(_, seat)| of.is_none_or(|address| seat.address == address));
        let found = candidates
            .filter_map(|(number, seat)| {
                let (phase, since) = seat.state();
                let held = inner.addresses.get(&seat.address).copied().unwrap_or(0);
                let may_go = phase == Phase::Waits || (phase != Phase::Works && since <= patient);
                may_go.then_some(((phase != Phase::Waits, std::cmp::Reverse(held), since, *number), *number))
            })
            .min();
        let Some((_, number)) = found else { return false };
        let Some(seat) = inner.leave(number) else { return false };
        seat.gone.store(true, Ordering::Relaxed);
        seat.go.notify_one();
        true
    }

    fn state(&self, phase: Phase) -> u64 {
        let since = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX >> 2);
        since << 2 | phase as u64
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn leave(&mut self, number: u64) -> Option<Arc<Seat>> {
        let seat = self.taken.remove(&number)?;
        if let Some(held) = self.addresses.get_mut(&seat.address) {
            *held -= 1;
            if *held == 0 {
                self.addresses.remove(&seat.address);
            }
        }
        Some(seat)
    }
}

impl Seat {
    fn state(&self) -> (Phase, u64) {
        let state = self.state.load(Ordering::Relaxed);
        let phase = match state & 3 {
            0 => Phase::Waits,
            1 => Phase::Receives,
            2 => Phase::Answers,
            _ => Phase::Works,
        };
        (phase, state >> 2)
    }
}

impl Place {
    /// Notes what the connection does from now on; the time counts from the first note of the same.
    pub(super) fn enter(&self, phase: Phase) {
        if self.seat.state().0 != phase {
            self.seat.state.store(self.all.state(phase), Ordering::Relaxed);
        }
    }

    /// Notes that it waits for its next request.
    pub(super) fn rest(&self) {
        self.seat.state.store(self.all.state(Phase::Waits), Ordering::Relaxed);
    }

    /// Tells whether the place belongs to another connection by now.
    pub(super) fn is_gone(&self) -> bool {
        self.seat.gone.load(Ordering::Relaxed)
    }

    /// Waits until the place is needed for another connection; it says so once.
    pub(super) async fn must_go(&self) {
        self.seat.go.notified().await;
    }

    /// Tells whether it is one of those beyond the bound, which have no share in the work.
    pub(super) fn is_spare(&self) -> bool {
        self.spare
    }

    /// Returns whom the connection comes from; `None` for loopback, which has no bounds of its own.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.seat.address
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.inner().leave(self.number);
        self.all.freed.notify_one();
    }
}

/// Returns whom an address stands for: one host has a whole /64 of IPv6. `None` for loopback, which has no bounds.
fn sender(address: IpAddr) -> Option<IpAddr> {
    match address.to_canonical() {
        address if address.is_loopback() => None,
        IpAddr::V6(address) => Some(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into()),
        address @ IpAddr::V4(_) => Some(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places that began a minute ago.
    fn places(connections: usize, connections_per_address: usize) -> Arc<Places> {
        let limits = Limits { connections, connections_per_address, ..Limits::default() };
        let began = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
        Arc::new(Places { began, ..Places::new(&limits) })
    }

    fn from(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    fn enter(all: &Arc<Places>, address: Option<IpAddr>) -> Place {
        Places::try_enter(all, address).unwrap().unwrap()
    }

    /// What the place has been doing since so many milliseconds after the beginning.
    fn does(place: &Place, phase: Phase, since: u64) {
        place.seat.state.store(since << 2 | phase as u64, Ordering::Relaxed);
    }

    #[test]
    fn whoever_is_idle_for_the_longest_gives_way() {
        let all = places(3, 3);
        let mut held: Vec<_> = (0..3).map(|_| enter(&all, None)).collect();
        does(&held[0], Phase::Waits, 200);
        does(&held[1], Phase::Works, 50);
        does(&held[2], Phase::Waits, 100);
        let fourth = enter(&all, None);
        assert_eq!([&held[0], &held[1], &held[2], &fourth].map(Place::is_gone), [false, false, true, false]);
        // What has gone frees nothing a second time.
        drop(held.pop());
        assert_eq!(all.inner().taken.len(), 3);
        assert_eq!(all.inner().addresses[&None], 3);
        let fifth = enter(&all, None);
        assert!(held[0].is_gone());
        drop((held, fourth, fifth));
        assert!(all.inner().taken.is_empty());
        assert!(all.inner().addresses.is_empty());
    }

    #[test]
    fn a_request_under_way_is_waited_for_and_a_slow_sender_is_not() {
        let all = places(2, 2);
        let (works, slow) = (enter(&all, None), enter(&all, None));
        does(&works, Phase::Works, 0);
        for phase in [Phase::Receives, Phase::Answers] {
            does(&slow, phase, 59_000);
            assert!(Places::try_enter(&all, None).unwrap().is_none());
        }
        does(&slow, Phase::Receives, 57_000);
        let third = enter(&all, None);
        assert!(slow.is_gone() && !works.is_gone());
        // All work: who comes now gets a place beside.
        does(&third, Phase::Works, 0);
        let (first, next) = (enter(&all, None), enter(&all, None));
        assert!(first.is_spare() && first.is_gone() && next.is_spare() && !next.is_gone() && !third.is_spare());
        does(&next, Phase::Works, 0);
        let spare: Vec<_> = (1..SPARE).map(|_| enter(&all, None)).inspect(|place| does(place, Phase::Works, 0)).collect();
        assert!(Places::try_enter(&all, None).unwrap().is_none());
        drop((works, spare, next));
        assert!(!enter(&all, None).is_spare());
    }

    #[tokio::test]
    async fn whoever_comes_waits_for_a_place_that_becomes_free() {
        let all = places(1, 1);
        let receives = enter(&all, None);
        receives.enter(Phase::Receives);
        let waits = tokio::spawn({
            let all = Arc::clone(&all);
            async move { Places::enter(&all, None).await.is_ok() }
        });
        tokio::task::yield_now().await;
        drop(receives);
        assert!(waits.await.unwrap());
    }

    #[test]
    fn an_address_has_its_share_and_gives_way_to_itself_and_first() {
        let all = places(4, 2);
        let honest = enter(&all, from(1));
        does(&honest, Phase::Waits, 0);
        let (first, second) = (enter(&all, from(2)), enter(&all, from(2)));
        does(&first, Phase::Waits, 10);
        let third = enter(&all, from(2));
        assert!(first.is_gone() && !honest.is_gone());
        does(&second, Phase::Works, 0);
        does(&third, Phase::Works, 0);
        assert!(Places::try_enter(&all, from(2)).is_err());
        does(&third, Phase::Waits, 500);
        let _loopback = enter(&all, None);
        // All are taken: of those who wait, it is one of the address that holds most.
        let _another = enter(&all, from(3));
        assert!(third.is_gone() && !honest.is_gone());
    }

    #[test]
    fn one_host_has_a_whole_network_of_ipv6() {
        let address = |text: &str| sender(text.parse().unwrap());
        assert_eq!(address("2001:db8:1:2:3:4:5:6"), address("2001:db8:1:2::1"));
        assert_ne!(address("2001:db8:1:2::1"), address("2001:db8:1:3::1"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
        assert_eq!((address("::1"), address("127.9.9.9"), address("::ffff:127.0.0.1")), (None, None, None));
    }
}
