//! What is asked of the items of a list: which items are meant, and that it always ends.

use flow_plan::{Each, Expr, Function, Order, Value};
use flow_runtime::eval::{Nothing, eval};
use rust_decimal::Decimal;

fn numbers(numbers: impl IntoIterator<Item = i64>) -> Value {
    Value::List(numbers.into_iter().map(|number| Value::Number(Decimal::from(number))).collect::<Vec<_>>().into())
}

fn number(number: i64) -> Value {
    Value::Number(Decimal::from(number))
}

fn each(each: Each, list: Expr, body: Expr) -> Expr {
    Expr::ForEach(each, Box::new(list), Box::new(body))
}

fn value(expr: &Expr) -> Value {
    eval(expr, &Nothing).unwrap()
}

/// `it > limit`.
fn above(limit: i64) -> Expr {
    Expr::Compare(Order::Greater, Box::new(Expr::It), Box::new(Expr::Const(number(limit))))
}

#[test]
fn it_is_the_item_at_hand() {
    let list = || Expr::Const(numbers([5, 15, 25]));
    assert_eq!(value(&each(Each::Any, list(), above(20))), Value::Bool(true));
    assert_eq!(value(&each(Each::Any, list(), above(25))), Value::Bool(false));
    assert_eq!(value(&each(Each::All, list(), above(4))), Value::Bool(true));
    assert_eq!(value(&each(Each::All, list(), above(5))), Value::Bool(false));
    assert_eq!(value(&each(Each::Count, list(), above(10))), number(2));
    assert_eq!(value(&each(Each::Filter, list(), above(10))), numbers([15, 25]));
    assert_eq!(value(&each(Each::Map, list(), Expr::Negate(Box::new(Expr::It)))), numbers([-5, -15, -25]));
    assert_eq!(value(&each(Each::Sort, list(), Expr::Negate(Box::new(Expr::It)))), numbers([25, 15, 5]));
    assert_eq!(value(&Expr::It), Value::Missing);
}

#[test]
fn the_item_of_a_list_within_hides_the_one_around() {
    let rows = Value::List(vec![numbers([1, 2]), numbers([30, 40]), numbers([])].into());
    let inner = each(Each::Any, Expr::It, above(10));
    let outer = each(Each::Filter, Expr::Const(rows), inner);
    assert_eq!(value(&outer), Value::List(vec![numbers([30, 40])].into()));
    // Behind the inner list the outer item is at hand again.
    let rows = Value::List(vec![numbers([1, 2]), numbers([3])].into());
    let both = Expr::Call(Function::Length, vec![each(Each::Filter, Expr::It, above(0))]);
    let again = Expr::Arithmetic(
        flow_plan::Arithmetic::Add,
        Box::new(both),
        Box::new(Expr::Index(Box::new(Expr::It), Box::new(Expr::Const(number(0))))),
    );
    assert_eq!(value(&each(Each::Map, Expr::Const(rows), again)), numbers([3, 4]));
}

#[test]
fn what_is_missing_does_not_count() {
    let items = Value::List(vec![number(1), Value::text("x"), number(3)].into());
    assert_eq!(value(&each(Each::Count, Expr::Const(items.clone()), above(0))), number(2));
    let doubled = Expr::Arithmetic(flow_plan::Arithmetic::Add, Box::new(Expr::It), Box::new(Expr::It));
    assert_eq!(value(&each(Each::Map, Expr::Const(items.clone()), doubled.clone())), numbers([2, 6]));
    // An item without an order comes last, and all others stay in order.
    assert_eq!(
        value(&each(Each::Sort, Expr::Const(items), doubled)),
        Value::List(vec![number(1), number(3), Value::text("x")].into())
    );
    for no_list in [Value::Missing, Value::text("x"), number(3)] {
        assert_eq!(value(&each(Each::All, Expr::Const(no_list), above(0))), Value::Missing);
    }
}

#[test]
fn lists_within_lists_end_with_a_missing_value_and_not_with_one_about_a_part() {
    let list = || Expr::Const(numbers(0..400));
    let twice = each(Each::Map, list(), Expr::Call(Function::Length, vec![each(Each::Filter, list(), above(-1))]));
    // 400 and 400 times 400 items are too many, for whatever is asked.
    assert_eq!(value(&twice), Value::Missing);
    let all = each(Each::All, list(), each(Each::All, list(), above(-1)));
    assert_eq!(value(&all), Value::Missing);
    let deep = (0..12).fold(above(1_000), |body, _| each(Each::Any, list(), body));
    assert_eq!(value(&deep), Value::Missing);
    // One list may be longer than that of a loop.
    assert_eq!(value(&each(Each::Count, Expr::Const(numbers(0..20_000)), above(9_999))), number(10_000));
}
