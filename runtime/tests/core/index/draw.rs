//! Random flows and payloads: few values, so that they meet, and all that a payload may have in place of them.

use flow_plan::{
    self as plan, Absence, Condition, Currency, Each, Expr, FieldShape, Flow, Function, Money, Order, Shape, Span, StartKind,
    TimeFormat, TriggerUse, Value,
};
use rust_decimal::Decimal;

use crate::fixture::{field, flow, money, path, rehash, trigger};

/// A source of choices.
pub(super) struct Draw(fastrand::Rng);

/// The fields by their places in [`fields`].
const AMOUNT: usize = 0;
const EMAIL: usize = 1;
const NAME: usize = 2;
const COUNT: usize = 3;
const FLAG: usize = 4;
const TAGS: usize = 5;
const AT: usize = 6;
const LONG: usize = 7;
const DAY: usize = 8;
const HOUR: usize = 9;
const KIND: usize = 10;
const ANY: usize = 11;

fn fields() -> Vec<FieldShape> {
    let members = vec!["a".to_owned(), "b".to_owned(), "ab".to_owned()];
    vec![
        field("amount", money(), false),
        field("email", Shape::Token, true),
        field("name", Shape::Text, true),
        field("count", Shape::Number, true),
        field("flag", Shape::Bool, true),
        field("tags", Shape::List(Box::new(Shape::Text)), true),
        field("at", Shape::Instant(TimeFormat::UnixMillis), true),
        field("long", Shape::Duration(1000), true),
        field("day", Shape::Date, true),
        field("hour", Shape::Time, true),
        field("kind", Shape::Enum { members, open: false }, true),
        field("any", Shape::Json, true),
    ]
}

/// The slots of a flow: the fields, from another one on in each.
#[derive(Clone, Copy)]
struct Slots(usize);

impl Slots {
    fn of(self, field: usize) -> u16 {
        u16::try_from((field + self.0) % fields().len()).unwrap()
    }

    fn read(self) -> Vec<FieldShape> {
        let mut fields = fields();
        fields.rotate_right(self.0);
        fields
    }
}

fn constant(value: Value) -> Box<Expr> {
    Box::new(Expr::Const(value))
}

fn usd(amount: Decimal) -> Value {
    Value::Money(Money { amount, currency: Currency::parse("USD").unwrap() })
}

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    pub(super) fn number(&mut self, below: usize) -> usize {
        self.0.usize(..below)
    }

    pub(super) fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.number(choices.len())].clone()
    }

    fn amount(&mut self) -> Decimal {
        let text = self.one_of(&[
            "0",
            "-0",
            "1",
            "1.0",
            "1.5",
            "2",
            "2.00",
            "99.99",
            "100",
            "100.01",
            "-3",
            "79228162514264337593543950335",
        ]);
        text.parse().unwrap()
    }

    fn money(&mut self) -> Value {
        let currency = Currency::parse(self.one_of(&["USD", "EUR", "JPY"])).unwrap();
        Value::Money(Money { amount: self.amount(), currency })
    }

    fn text(&mut self) -> Value {
        Value::text(self.one_of(&["", "a", "b", "ab", "abc", "A", "é", "aé", "100"]))
    }

    /// A value of the type of a field; now and then of another.
    fn value(&mut self, field: usize) -> Value {
        match if self.number(20) == 0 { self.number(fields().len()) } else { field } {
            AMOUNT => self.money(),
            COUNT => Value::Number(self.amount()),
            FLAG => Value::Bool(self.0.bool()),
            TAGS => Value::List(vec![self.text(), self.text()].into()),
            AT => Value::Instant(
                self.one_of(&["1970-01-01T00:00:00Z", "1970-01-01T00:00:01.5Z", "1969-12-31T23:59:59.5Z"]).parse().unwrap(),
            ),
            LONG => {
                let (months, days, millis) = self.one_of(&[(0, 0, 1000), (0, 1, 0), (0, 0, 86_400_000), (1, 0, 0), (0, 30, 0)]);
                Value::Duration(plan::Duration { months, days, millis })
            }
            DAY => Value::Date(self.one_of(&["2026-01-31", "2026-02-01", "2025-12-31"]).parse().unwrap()),
            HOUR => Value::Time(self.one_of(&["00:00", "08:30", "08:30:00.5", "22:00"]).parse().unwrap()),
            ANY if self.0.bool() => Value::Number(self.amount()),
            _ => self.text(),
        }
    }

    fn order(&mut self) -> Order {
        self.one_of(&[Order::Less, Order::LessEq, Order::Greater, Order::GreaterEq])
    }

    /// What is asked of one field.
    fn asked(&mut self, slots: Slots, field: usize, deep: usize) -> Expr {
        let it = Box::new(Expr::Event(slots.of(field)));
        let is_text = matches!(field, EMAIL | NAME | KIND | ANY);
        match self.number(if deep == 0 { 14 } else { 17 }) {
            0..=2 => match self.0.bool() {
                true => Expr::Equal(it, constant(self.value(field))),
                false => Expr::Equal(constant(self.value(field)), it),
            },
            3 => Expr::OneOf(it, (0..self.number(4)).map(|_| Expr::Const(self.value(field))).collect()),
            4 => {
                Expr::InList(it, constant(Value::List((0..self.number(4)).map(|_| self.value(field)).collect::<Vec<_>>().into())))
            }
            5 | 6 if field == AMOUNT => match self.number(4) {
                0 => Expr::CompareMajor(self.order(), it, constant(Value::Number(self.amount()))),
                1 => Expr::CompareMajor(self.order(), constant(Value::Number(self.amount())), it),
                2 => {
                    let limits = ["USD", "EUR"].iter().take(self.number(3)).map(|code| Currency::parse(code).unwrap());
                    let limits: Vec<_> = limits.collect();
                    Expr::CompareAny(self.order(), it, limits.into_iter().map(|currency| (currency, self.amount())).collect())
                }
                _ => Expr::Compare(self.order(), it, constant(usd(self.amount()))),
            },
            5..=7 if self.0.bool() => Expr::Compare(self.order(), constant(self.value(field)), it),
            5..=7 => Expr::Compare(self.order(), it, constant(self.value(field))),
            8 => Expr::InRange(it, constant(self.value(field)), constant(self.value(field))),
            9 if field == FLAG => *it,
            9 => Expr::Else(it, constant(Value::Bool(self.0.bool()))),
            10 if field == TAGS => Expr::InList(constant(self.text()), it),
            10 => Expr::Contains(it, constant(if is_text { self.text() } else { self.value(field) })),
            11 => Expr::StartsWith(it, constant(self.text())),
            12 => Expr::EndsWith(it, constant(self.text())),
            13 => match self.number(4) {
                0 => Expr::IsPresent(it),
                1 => Expr::IsEmpty(it),
                2 => Expr::Matches(it, self.one_of(&["^a", "b$", "("]).to_owned()),
                _ => Expr::Require { value: it, what: "it".to_owned() },
            },
            14 => Expr::Not(Box::new(self.asked(slots, field, deep - 1))),
            15 => Expr::And((0..self.number(3)).map(|_| self.asked(slots, field, deep - 1)).collect()),
            _ => Expr::Or((0..self.number(3)).map(|_| self.asked(slots, field, deep - 1)).collect()),
        }
    }

    /// What is asked of several fields, or of none.
    fn wider(&mut self, slots: Slots) -> Expr {
        let event = |field| Box::new(Expr::Event(slots.of(field)));
        match self.number(7) {
            0 => Expr::Equal(event(EMAIL), event(NAME)),
            1 => Expr::Compare(self.order(), event(COUNT), Box::new(Expr::Call(Function::Length, vec![*event(NAME)]))),
            2 => Expr::Equal(
                Box::new(Expr::Raw(path(self.one_of(&["data.object.name", "id", "data.object.tags[0]"])))),
                constant(self.text()),
            ),
            3 => Expr::ForEach(Each::Any, event(TAGS), Box::new(Expr::Equal(Box::new(Expr::It), constant(self.text())))),
            4 => Expr::Const(Value::Bool(self.0.bool())),
            5 => Expr::And(vec![self.asked(slots, COUNT, 0), self.asked(slots, FLAG, 0)]),
            _ => Expr::Equal(Box::new(Expr::Env(plan::Env::EventId)), constant(Value::text("evt"))),
        }
    }

    fn test(&mut self, slots: Slots) -> Condition {
        let expr = match self.number(8) {
            0 => self.wider(slots),
            _ => {
                let field = self.number(fields().len());
                self.asked(slots, field, 2)
            }
        };
        let mut reads = Vec::new();
        // What is not said to be read counts as missing where it does not fit.
        if self.number(10) > 0 {
            expr.walk(&mut |expr| {
                if let Expr::Event(slot) = expr
                    && !reads.contains(slot)
                {
                    reads.push(*slot);
                }
            });
        }
        Condition::Test { text: String::new(), expr, reads }
    }

    fn condition(&mut self, slots: Slots, deep: usize) -> Condition {
        match if deep == 0 { 9 } else { self.number(10) } {
            0..=3 => Condition::All((0..self.number(4)).map(|_| self.condition(slots, deep - 1)).collect()),
            4 => Condition::Any((0..1 + self.number(3)).map(|_| self.condition(slots, deep - 1)).collect()),
            5 => Condition::Not(Box::new(self.condition(slots, deep - 1))),
            _ => self.test(slots),
        }
    }

    /// A trigger; its name and options say all about its guard and its key.
    fn trigger(&mut self, slots: Slots) -> TriggerUse {
        let event = |field| Box::new(Expr::Event(slots.of(field)));
        let mut used = match self.number(6) {
            0 | 1 => trigger("happened"),
            2 => TriggerUse { types: Vec::new(), ..trigger("all") },
            3 => TriggerUse { types: vec!["other".to_owned(), "happened".to_owned()], ..trigger("both") },
            4 => {
                let wanted = self.text();
                TriggerUse {
                    guard: Some(Expr::Equal(event(KIND), constant(wanted.clone()))),
                    options: [("kind".to_owned(), wanted)].into(),
                    dedupe: Some(*event(EMAIL)),
                    ..trigger("picky")
                }
            }
            _ => TriggerUse {
                guard: Some(Expr::And(vec![
                    Expr::CompareMajor(Order::Greater, event(AMOUNT), constant(Value::Number(1.into()))),
                    *event(FLAG),
                ])),
                dedupe: Some(*event(COUNT)),
                ..trigger("large")
            },
        };
        if self.number(6) == 0 && used.guard.is_none() {
            // Its events have fewer fields.
            used.reads = slots.read().into_iter().map(|field| (self.number(3) > 0).then_some(field)).collect();
        }
        used
    }

    pub(super) fn flow(&mut self, id: &str) -> Flow {
        let slots = Slots(self.number(fields().len()));
        let mut made = flow(id, Vec::new());
        made.reads = slots.read();
        made.filter = (self.number(8) > 0).then(|| self.condition(slots, 3));
        made.triggers = (0..self.one_of(&[1, 1, 1, 2, 3])).map(|_| self.trigger(slots)).collect();
        if self.number(8) == 0 {
            let awaited = self.trigger(slots);
            let filter = self.0.bool().then(|| self.condition(slots, 2));
            let rule = Absence { awaited, filter, within: Span::exact(60_000) };
            made.triggers.push(TriggerUse {
                source: "absence".to_owned(),
                types: vec![id.to_owned()],
                reads: vec![None; made.reads.len()],
                kind: StartKind::Absence(Box::new(rule)),
                ..trigger("no happened")
            });
        }
        rehash(&mut made);
        made
    }

    /// The JSON of a payload.
    pub(super) fn payload(&mut self) -> String {
        let mut object = Vec::new();
        for field in fields() {
            let json = match field.name.as_str() {
                "amount" => self.one_of(&["0", "100", "150", "200", "10000", "9999", "10001", "\"100\"", "1.5", "-300"]),
                "email" | "name" => {
                    self.one_of(&["\"a\"", "\"b\"", "\"ab\"", "\"abc\"", "\"\"", "\"\\u00e9\"", "\"a\\u00e9\"", "\"A\"", "100"])
                }
                "count" => self.one_of(&[
                    "0",
                    "-0",
                    "1",
                    "1.0",
                    "1e0",
                    "1.50",
                    "2",
                    "\"2\"",
                    "100",
                    "79228162514264337593543950335",
                    "79228162514264337593543950336",
                    "1e400",
                ]),
                "flag" => self.one_of(&["true", "false", "\"true\""]),
                "tags" => self.one_of(&["[]", "[\"a\"]", "[\"ab\",\"b\",\"a\"]", "[1]", "\"a\"", "[\"a\",\"a\"]"]),
                "at" => self.one_of(&["0", "1500", "-500", "\"1500\"", "99999999999999999999"]),
                "long" => self.one_of(&["1", "86400", "2592000", "0.5", "\"x\""]),
                "day" => self.one_of(&["\"2026-01-31\"", "\"2026-02-01\"", "\"2025-12-31\"", "\"2026-02-30\""]),
                "hour" => self.one_of(&["\"00:00\"", "\"08:30\"", "\"22:00:00\"", "\"23:59\"", "\"24:00\""]),
                "kind" => self.one_of(&["\"a\"", "\"b\"", "\"ab\"", "\"c\""]),
                _ => self.one_of(&["1", "\"a\"", "\"100\"", "[\"a\",\"b\"]", "{\"a\":1}", "true", "\"ab\""]),
            };
            let json = match self.number(12) {
                0 => continue,
                1 => "null",
                2 => self.one_of(&["true", "\"\"", "[]", "{}", "[[1]]", "1e2", "\"zzz\"", "-1"]),
                _ => json,
            };
            object.push(format!("\"{}\":{json}", field.name));
        }
        match self.number(10) {
            0 => {}
            1 => object.push(format!("\"currency\":{}", self.one_of(&["null", "\"dollars\"", "5", "\"kwd\""]))),
            _ => object.push(format!("\"currency\":\"{}\"", self.one_of(&["usd", "eur", "JPY"]))),
        }
        self.0.shuffle(&mut object);
        let object = object.join(",");
        match self.number(40) {
            0 => "[]".to_owned(),
            1 => "{\"data\":{\"object\":null}}".to_owned(),
            2 => format!("{{\"data\":{{\"object\":{{\"name\":\"a\"}}}},\"data\":{{\"object\":{{{object}}}}}}}"),
            _ => format!("{{\"id\":\"a\",\"data\":{{\"object\":{{{object}}},\"previous\":{{}}}}}}"),
        }
    }
}
