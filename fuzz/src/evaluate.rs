//! Expressions and conditions: what the evaluator says is what the slow reference says.

use flow_plan::{Expr, Value};
use flow_runtime::eval::{Scope, eval, test};

use super::draw::Draw;
use super::expression::{SLOTS, condition, expr, value};
use super::reference::{self, Stop};

/// The fields of an event.
struct Slots(Vec<Value>);

impl Scope for Slots {
    fn event(&self, slot: u16) -> Value {
        self.0.get(usize::from(slot)).cloned().unwrap_or_default()
    }
}

/// An expression and a condition over random fields are evaluated as the reference evaluates them.
pub fn evaluate(bytes: &[u8]) {
    let mut draw = Draw(bytes);
    let slots = Slots((0..SLOTS).map(|_| value(&mut draw, 2)).collect());
    let expr = expr(&mut draw, 6, 3);
    let condition = condition(&mut draw, 2);
    same(&expr, &slots);
    match reference::condition(&condition, &slots.0) {
        Err(_) => {}
        Ok(expected) => assert_eq!(test(&condition, &slots), expected, "{condition:#?}\n{:#?}", slots.0),
    }
}

fn same(expr: &Expr, slots: &Slots) {
    let found = eval(expr, slots);
    let expected = match reference::reference(expr, &slots.0) {
        // Where the bound on items may have been reached there is nothing to compare.
        Err(Stop::TooMany) => return,
        Err(Stop::Required(what)) => Err(what),
        Ok(value) => Ok(value.unwrap_or_default()),
    };
    let found = found.map_err(|required| required.what);
    assert_eq!(found, expected, "{expr:#?}\n{:#?}", slots.0);
    if let Ok(value) = found {
        // What comes out can be shown, kept and read back, whatever it is.
        let (_, _) = (value.to_string(), value.to_json());
        let kept = serde_json::to_string(&value).expect("a value is written");
        assert_eq!(serde_json::from_str::<Value>(&kept).ok().as_ref(), Some(&value), "{kept}");
    }
}
