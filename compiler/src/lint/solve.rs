//! Conditions as alternatives of claims about places, and whether one of them can hold.
//!
//! What is not understood is left out, so that the claims may allow more than the condition does, never less: no
//! alternative left is a proof that the condition cannot hold. The work is bounded; beyond the bound nothing is known.

use std::sync::Arc;

use flow_plan::{Condition, Env, Expr, FieldShape, Order, Shape, Value};
use rust_decimal::Decimal;

use super::domain::{Amounts, Domain, Set, position};
use super::key::{Key, Keys};
use super::range::Ranges;
use super::text::{Asked, How, Texts};

/// So many alternatives are looked at.
const MOST_CUBES: usize = 32;
/// So deep are expressions looked into.
const MOST_DEPTH: usize = 64;

/// Where a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaf {
    /// A field of the event: its slot.
    Field(u16),
    /// `origin`.
    Origin,
    /// Something that does not depend on the event: the time, settings.
    Outside,
    /// Something that depends on the event and on the time.
    Moment,
    /// Anything else.
    Other,
}

/// What is asked of the value at one place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Claim {
    pub(super) key: Key,
    pub(super) leaf: Leaf,
    /// Shared: claims are copied from alternative to alternative, and seldom changed.
    pub(super) domain: Arc<Domain>,
}

/// A test that is not looked into, and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Atom {
    pub(super) key: Key,
    pub(super) holds: bool,
    pub(super) leaf: Leaf,
}

/// Claims that must all hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Cube {
    /// Sorted by key, each key once.
    pub(super) claims: Vec<Claim>,
    /// Sorted by key, each key once.
    pub(super) atoms: Vec<Atom>,
}

/// Alternatives of which one must hold.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dnf {
    pub(super) cubes: Vec<Cube>,
    /// Nothing was left out.
    pub(super) exact: bool,
}

impl Dnf {
    /// Returns what always holds.
    pub(super) fn always() -> Self {
        Self { cubes: vec![Cube::default()], exact: true }
    }

    fn never() -> Self {
        Self { cubes: Vec::new(), exact: true }
    }

    /// Returns what may or may not hold.
    fn unknown() -> Self {
        Self { cubes: vec![Cube::default()], exact: false }
    }

    fn one(cube: Option<Cube>) -> Self {
        Self { cubes: cube.into_iter().collect(), exact: true }
    }

    fn truth(holds: bool) -> Self {
        if holds { Self::always() } else { Self::never() }
    }

    /// Returns it without what may change while the run goes on.
    pub(super) fn lasting(mut self) -> Self {
        for cube in &mut self.cubes {
            let (claims, atoms) = (cube.claims.len(), cube.atoms.len());
            cube.claims.retain(|claim| !matches!(claim.leaf, Leaf::Outside | Leaf::Moment));
            cube.atoms.retain(|atom| !matches!(atom.leaf, Leaf::Outside | Leaf::Moment));
            self.exact &= cube.claims.len() == claims && cube.atoms.len() == atoms;
        }
        self
    }

    /// Tells whether it surely cannot hold.
    pub(super) fn is_never(&self) -> bool {
        self.cubes.is_empty()
    }

    /// Tells whether nothing is asked.
    pub(super) fn is_always(&self) -> bool {
        self.exact && matches!(self.cubes.as_slice(), [only] if only.is_trivial())
    }

    /// Returns where both hold. Beyond the bound the second is left out.
    pub(super) fn and(&self, other: &Self) -> Self {
        if other.is_always() {
            return self.clone();
        }
        if self.is_always() {
            return other.clone();
        }
        if self.cubes.len().saturating_mul(other.cubes.len()) > MOST_CUBES * MOST_CUBES {
            return Self { cubes: self.cubes.clone(), exact: false };
        }
        let mut cubes = Vec::with_capacity(self.cubes.len().max(other.cubes.len()));
        for a in &self.cubes {
            for b in &other.cubes {
                if let Some(both) = a.and(b) {
                    if cubes.len() >= MOST_CUBES {
                        return Self { cubes: self.cubes.clone(), exact: false };
                    }
                    cubes.push(both);
                }
            }
        }
        Self { cubes, exact: self.exact && other.exact }
    }

    fn or(mut self, other: Self) -> Self {
        self.exact &= other.exact;
        if self.cubes.len() + other.cubes.len() > MOST_CUBES {
            return Self::unknown();
        }
        for cube in other.cubes {
            if !self.cubes.contains(&cube) {
                self.cubes.push(cube);
            }
        }
        self
    }
}

impl Cube {
    fn is_trivial(&self) -> bool {
        self.claims.is_empty() && self.atoms.is_empty()
    }

    /// Returns where both hold; `None` where they surely cannot.
    pub(super) fn and(&self, other: &Self) -> Option<Self> {
        let mut claims = Vec::with_capacity(self.claims.len() + other.claims.len());
        let (mut a, mut b) = (self.claims.iter().peekable(), other.claims.iter().peekable());
        loop {
            match (a.peek(), b.peek()) {
                (Some(x), Some(y)) if x.key == y.key => {
                    let domain = x.domain.and(&y.domain);
                    if domain.is_empty() {
                        return None;
                    }
                    claims.push(Claim { key: x.key, leaf: x.leaf, domain: Arc::new(domain) });
                    a.next();
                    b.next();
                }
                (Some(x), Some(y)) if x.key > y.key => claims.extend(b.next().cloned()),
                (Some(_), _) => claims.extend(a.next().cloned()),
                (None, Some(_)) => claims.extend(b.next().cloned()),
                (None, None) => break,
            }
        }
        let mut atoms = self.atoms.clone();
        for atom in &other.atoms {
            match atoms.binary_search_by_key(&atom.key, |known| known.key) {
                Ok(at) if atoms.get(at).is_some_and(|known| known.holds != atom.holds) => return None,
                Ok(_) => {}
                Err(at) => atoms.insert(at, *atom),
            }
        }
        Some(Self { claims, atoms })
    }

    fn claim(key: Key, leaf: Leaf, domain: Domain) -> Option<Self> {
        (!domain.is_empty()).then(|| Self { claims: vec![Claim { key, leaf, domain: Arc::new(domain) }], atoms: Vec::new() })
    }
}

/// Reads conditions over the fields of one event.
pub(super) struct Reader<'f> {
    fields: &'f dyn Fn(u16) -> Option<&'f FieldShape>,
    keys: Keys<'f>,
}

impl<'f> Reader<'f> {
    /// Returns a reader; `fields` gives the field of each slot.
    pub(super) fn new(fields: &'f dyn Fn(u16) -> Option<&'f FieldShape>) -> Self {
        Self { fields, keys: Keys::new(fields) }
    }

    /// Returns the keys of what the conditions look at.
    pub(super) fn keys(&mut self) -> &mut Keys<'f> {
        &mut self.keys
    }

    /// Returns the keys, to look at.
    pub(super) fn known_keys(&self) -> &Keys<'f> {
        &self.keys
    }

    /// Returns when a condition holds.
    pub(super) fn condition(&self, condition: &Condition) -> Dnf {
        self.tree(condition, true)
    }

    fn tree(&self, condition: &Condition, holds: bool) -> Dnf {
        match condition {
            Condition::All(parts) => self.all(parts.iter().map(|part| self.tree(part, holds)), holds),
            Condition::Any(parts) => self.all(parts.iter().map(|part| self.tree(part, holds)), !holds),
            Condition::Not(inner) => self.tree(inner, !holds),
            Condition::Test { expr, .. } => self.expr(expr, holds),
        }
    }

    /// Returns when all parts hold, or, with `conjunction` false, when one of them does.
    #[expect(clippy::unused_self, reason = "reads as a part of the walk")]
    fn all(&self, parts: impl Iterator<Item = Dnf>, conjunction: bool) -> Dnf {
        if conjunction {
            let mut parts = parts;
            let first = parts.next().unwrap_or_else(Dnf::always);
            parts.fold(first, |together, part| together.and(&part))
        } else {
            parts.fold(Dnf::never(), Dnf::or)
        }
    }

    /// Returns when an expression is true, or, with `holds` false, when it is not (missing is not true).
    pub(super) fn expr(&self, expr: &Expr, holds: bool) -> Dnf {
        self.deep(expr, holds, 0)
    }

    fn deep(&self, expr: &Expr, holds: bool, depth: usize) -> Dnf {
        if depth > MOST_DEPTH {
            return Dnf::unknown();
        }
        match expr {
            Expr::Not(inner) => self.deep(inner, !holds, depth + 1),
            Expr::And(parts) => self.all(parts.iter().map(|part| self.deep(part, holds, depth + 1)), holds),
            Expr::Or(parts) => self.all(parts.iter().map(|part| self.deep(part, holds, depth + 1)), !holds),
            Expr::Const(value) => Dnf::truth((*value == Value::Bool(true)) == holds),
            Expr::IsPresent(inner) => self.claim(inner, if holds { Domain::present() } else { Domain::missing() }),
            Expr::IsEmpty(inner) => {
                let (texts, other) = if holds {
                    (Texts::only([Arc::from("")]), Domain::missing().with(Set::Other(true)))
                } else {
                    (Texts::all_but([Arc::from("")]), Domain::present())
                };
                let claim = self.claim(inner, other.with(Set::Text(texts)));
                // Of a list it is not known whether it has items.
                if self.is_text(inner) { claim } else { claim.and(&self.atom(expr, holds)) }
            }
            Expr::Equal(left, right) => match (left.as_ref(), right.as_ref()) {
                (Expr::Const(a), Expr::Const(b)) => Dnf::truth((!a.is_missing() && a == b) == holds),
                (subject, Expr::Const(value)) | (Expr::Const(value), subject) => self.among(expr, subject, &[value], holds),
                (left, right) => self.opaque(expr, &[left, right], holds),
            },
            Expr::OneOf(subject, choices) => {
                let values: Option<Vec<&Value>> = choices.iter().map(constant).collect();
                match values {
                    Some(values) => self.among(expr, subject, &values, holds),
                    None => self.opaque(expr, &[subject], holds),
                }
            }
            Expr::Compare(order, left, right) => match (left.as_ref(), right.as_ref()) {
                (subject, Expr::Const(value)) => self.ordered(expr, *order, subject, value, holds),
                (Expr::Const(value), subject) => self.ordered(expr, mirrored(*order), subject, value, holds),
                (left, right) => self.opaque(expr, &[left, right], holds),
            },
            Expr::CompareMajor(order, left, right) => match (left.as_ref(), right.as_ref()) {
                (subject, Expr::Const(Value::Number(limit))) => self.major(*order, subject, *limit, holds),
                (Expr::Const(Value::Number(limit)), subject) => self.major(mirrored(*order), subject, *limit, holds),
                (left, right) => self.opaque(expr, &[left, right], holds),
            },
            Expr::CompareAny(order, subject, limits) => {
                let amounts = Amounts::by_limits(*order, limits);
                self.claim(
                    subject,
                    if holds {
                        Domain::of(Set::Money(amounts))
                    } else {
                        Domain::of_or_other_kinds(Set::Money(amounts.complement()))
                    },
                )
            }
            Expr::InRange(subject, low, high) => match (low.as_ref(), high.as_ref()) {
                (Expr::Const(low), Expr::Const(high)) => self.in_range(expr, subject, low, high, holds),
                _ => self.opaque(expr, &[subject, low, high], holds),
            },
            Expr::Contains(subject, part) => self.asked(expr, How::Contains, subject, constant(part), holds),
            Expr::StartsWith(subject, part) => self.asked(expr, How::Starts, subject, constant(part), holds),
            Expr::EndsWith(subject, part) => self.asked(expr, How::Ends, subject, constant(part), holds),
            Expr::Matches(subject, pattern) => {
                self.asked(expr, How::Matches, subject, Some(&Value::text(pattern.as_str())), holds)
            }
            Expr::InList(value, list) => self.opaque(expr, &[value, list], holds),
            Expr::Event(_)
            | Expr::Awaited(_)
            | Expr::Local(_)
            | Expr::Input(_)
            | Expr::Env(_)
            | Expr::Raw(_)
            | Expr::Answer(_)
            | Expr::Field(..)
            | Expr::Index(..)
            | Expr::It
            | Expr::ForEach(..)
            | Expr::Else(..)
            | Expr::Call(..) => self.among(expr, expr, &[&Value::Bool(true)], holds),
            // Not conditions.
            Expr::Text(_) | Expr::List(_) | Expr::Record(_) | Expr::Arithmetic(..) | Expr::Negate(_) | Expr::Require { .. } => {
                Dnf::unknown()
            }
        }
    }

    /// A claim about what an expression yields.
    fn claim(&self, subject: &Expr, domain: Domain) -> Dnf {
        match subject {
            Expr::Const(value) => match domain.contains(value) {
                Some(within) => Dnf::truth(within),
                None => Dnf::unknown(),
            },
            // The value, or what stands in for a missing one.
            Expr::Else(value, default) => match default.as_ref() {
                Expr::Const(default) => {
                    let mut domain = domain;
                    match domain.contains(default) {
                        Some(within) => domain.missing = within,
                        None => return Dnf::unknown(),
                    }
                    self.claim(value, domain)
                }
                _ => Dnf::unknown(),
            },
            Expr::Event(slot) => {
                let declared = (self.fields)(*slot).map(Domain::declared);
                let domain = declared.map_or_else(|| domain.clone(), |declared| declared.and(&domain));
                Dnf::one(Cube::claim(self.keys.of(subject), Leaf::Field(*slot), domain))
            }
            Expr::Env(Env::Origin) => {
                let both = Texts::only([Arc::from("external"), Arc::from("flow")]);
                let domain = Domain::of(Set::Text(both)).and(&domain);
                Dnf::one(Cube::claim(self.keys.of(subject), Leaf::Origin, domain))
            }
            _ => {
                let mut dnf = Dnf::one(Cube::claim(self.keys.of(subject), leaf(subject), domain.clone()));
                if let (Expr::Field(base, _) | Expr::Index(base, _), false) = (subject, domain.missing) {
                    dnf = dnf.and(&self.claim(base, Domain::present()));
                }
                dnf
            }
        }
    }

    /// One of several values, or none of them.
    fn among(&self, expr: &Expr, subject: &Expr, values: &[&Value], holds: bool) -> Dnf {
        let present: Vec<&Value> = values.iter().copied().filter(|value| !value.is_missing()).collect();
        // Lists are not looked into; and of durations only the length is known, which two that differ can share.
        let vague = present.iter().any(|value| matches!(value, Value::List(_) | Value::Record(_) | Value::Duration(_)));
        let claim = if holds {
            match Domain::one_of(present) {
                Some(domain) => self.claim(subject, domain),
                None => return self.opaque(expr, &[subject], holds),
            }
        } else {
            self.claim(subject, Domain::all_but(present))
        };
        if vague { claim.and(&self.atom(expr, holds)) } else { claim }
    }

    fn ordered(&self, expr: &Expr, order: Order, subject: &Expr, value: &Value, holds: bool) -> Dnf {
        let Some(limit) = position(value) else { return self.opaque(expr, &[subject], holds) };
        let ranges = Ranges::ordered(order, limit);
        self.within(expr, subject, value, ranges, holds)
    }

    /// The subject lies in ranges of the kind of `like`, or does not.
    fn within(&self, expr: &Expr, subject: &Expr, like: &Value, ranges: Ranges, holds: bool) -> Dnf {
        let set = match (like, holds) {
            (Value::Money(money), false) => Some(Set::Money(Amounts::of(money.currency, ranges).complement())),
            (_, true) => Set::of_kind(like, ranges),
            (_, false) => Set::of_kind(like, ranges.complement()),
        };
        match (set, holds) {
            (Some(set), true) => self.claim(subject, Domain::of(set)),
            (Some(set), false) => self.claim(subject, Domain::of_or_other_kinds(set)),
            (None, _) => self.opaque(expr, &[subject], holds),
        }
    }

    fn major(&self, order: Order, subject: &Expr, limit: Decimal, holds: bool) -> Dnf {
        let ranges = Ranges::ordered(order, limit);
        let domain = if holds {
            Domain::of(Set::Money(Amounts::of_any(ranges)))
        } else {
            Domain::of_or_other_kinds(Set::Money(Amounts::of_any(ranges.complement())))
        };
        self.claim(subject, domain)
    }

    fn in_range(&self, expr: &Expr, subject: &Expr, low: &Value, high: &Value, holds: bool) -> Dnf {
        let (Some(from), Some(to)) = (position(low), position(high)) else { return self.opaque(expr, &[subject], holds) };
        if std::mem::discriminant(low) != std::mem::discriminant(high) {
            return self.opaque(expr, &[subject], holds);
        }
        let ranges = match (low, high) {
            // The end is excluded, and the range may cross midnight.
            (Value::Time(_), _) if from <= to => Ranges::between(Some((from, true)), Some((to, false))),
            (Value::Time(_), _) => Ranges::between(None, Some((to, false))).beside(Ranges::between(Some((from, true)), None)),
            (Value::Money(a), Value::Money(b)) if a.currency != b.currency => return Dnf::truth(!holds),
            _ => Ranges::between(Some((from, true)), Some((to, true))),
        };
        self.within(expr, subject, low, ranges, holds)
    }

    fn asked(&self, expr: &Expr, how: How, subject: &Expr, part: Option<&Value>, holds: bool) -> Dnf {
        let Some(Value::Text(part)) = part else { return self.opaque(expr, &[subject], holds) };
        let asked = Set::asked(Asked { how, part: part.clone(), holds });
        let mut domain = if holds { Domain::of(asked) } else { Domain::of_or_other_kinds(asked) };
        if how != How::Contains || self.is_text(subject) {
            return self.claim(subject, domain);
        }
        // A list can contain it as well.
        if holds {
            domain = domain.with(Set::Other(true));
        }
        self.claim(subject, domain).and(&self.atom(expr, holds))
    }

    fn is_text(&self, expr: &Expr) -> bool {
        let Expr::Event(slot) = expr else { return false };
        (self.fields)(*slot)
            .is_some_and(|field| matches!(field.shape, Shape::Text | Shape::Token | Shape::Enum { .. } | Shape::Coded { .. }))
    }

    /// A test of which only the answer is known; with yes, what it is about is there.
    fn opaque(&self, expr: &Expr, subjects: &[&Expr], holds: bool) -> Dnf {
        let mut dnf = self.atom(expr, holds);
        for subject in subjects.iter().filter(|subject| holds && is_place(subject)) {
            dnf = dnf.and(&self.claim(subject, Domain::present()));
        }
        dnf
    }

    fn atom(&self, expr: &Expr, holds: bool) -> Dnf {
        Dnf::one(Some(Cube { claims: Vec::new(), atoms: vec![Atom { key: self.keys.of(expr), holds, leaf: leaf(expr) }] }))
    }
}

fn is_place(expr: &Expr) -> bool {
    matches!(expr, Expr::Event(_) | Expr::Local(_) | Expr::Raw(_) | Expr::Field(..) | Expr::Index(..))
}

fn constant(expr: &Expr) -> Option<&Value> {
    match expr {
        Expr::Const(value) => Some(value),
        _ => None,
    }
}

/// Whether an expression depends on the event.
fn leaf(expr: &Expr) -> Leaf {
    let (mut outside, mut moment) = (true, false);
    expr.walk(&mut |part| {
        moment |= matches!(part, Expr::Env(Env::Now | Env::SentAt));
        outside &= !matches!(
            part,
            Expr::Event(_)
                | Expr::Awaited(_)
                | Expr::Local(_)
                | Expr::Raw(_)
                | Expr::Answer(_)
                | Expr::Input(_)
                | Expr::Env(Env::EventId | Env::EventAt | Env::ReceivedAt | Env::EventType | Env::TriggerName | Env::Origin)
        );
    });
    match (outside, moment) {
        (true, _) => Leaf::Outside,
        (false, true) => Leaf::Moment,
        (false, false) => Leaf::Other,
    }
}

/// The ordering with its sides exchanged.
fn mirrored(order: Order) -> Order {
    match order {
        Order::Less => Order::Greater,
        Order::LessEq => Order::GreaterEq,
        Order::Greater => Order::Less,
        Order::GreaterEq => Order::LessEq,
    }
}
