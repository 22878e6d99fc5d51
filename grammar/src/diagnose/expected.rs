//! What the parser expected, in the words of the language.

use crate::grammar::Rule;

/// What is expected, and how much it says: the strongest are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// The one thing that belongs here.
    Strong,
    /// One of several.
    Plain,
    /// Possible nearly everywhere.
    Weak,
    /// Never shown.
    Silent,
}

/// Returns what is expected, at most four things, as the end of a sentence: "a value, or `)`".
pub(super) fn phrase(rules: &[Rule]) -> Option<String> {
    let mut said: Vec<(Weight, &str)> = Vec::new();
    for rule in rules {
        let (weight, text) = words(*rule);
        if weight != Weight::Silent && !said.iter().any(|(_, other)| *other == text) {
            said.push((weight, text));
        }
    }
    let best = said.iter().map(|(weight, _)| *weight).min()?;
    said.retain(|(weight, _)| *weight == best);
    said.sort_by_key(|(weight, _)| *weight);
    said.truncate(4);
    let texts: Vec<&str> = said.into_iter().map(|(_, text)| text).collect();
    let (last, before) = texts.split_last()?;
    Some(match before {
        [] => (*last).to_owned(),
        [one] => format!("{one} or {last}"),
        _ => format!("{}, or {last}", before.join(", ")),
    })
}

/// Returns whether a value may stand here.
pub(super) fn is_value(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::expr
            | Rule::plain
            | Rule::sum
            | Rule::prefix
            | Rule::named
            | Rule::text
            | Rule::date_time
            | Rule::date
            | Rule::time
            | Rule::quantity
            | Rule::bool
            | Rule::paren
            | Rule::list
            | Rule::object
            | Rule::raw_text
            | Rule::is_word
            | Rule::arg
    )
}

/// Returns whether a clause may stand here.
pub(super) fn is_clause(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::where_clause
            | Rule::window
            | Rule::within
            | Rule::fresh
            | Rule::at_most
            | Rule::once_per
            | Rule::one_at_a_time
            | Rule::throttle
            | Rule::while_running
            | Rule::missed
            | Rule::clock_change
            | Rule::across_gaps
            | Rule::expect
            | Rule::unverified
    )
}

/// Returns whether a step may stand here.
pub(super) fn is_step(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::call_step
            | Rule::step_call
            | Rule::let_step
            | Rule::if_step
            | Rule::match_step
            | Rule::for_step
            | Rule::stop_step
            | Rule::return_step
            | Rule::require_step
            | Rule::wait_step
            | Rule::chain
    )
}

#[expect(
    clippy::match_same_arms,
    clippy::too_many_lines,
    reason = "grouped by what a reader knows, one group per place of the language"
)]
fn words(rule: Rule) -> (Weight, &'static str) {
    use Weight::{Plain, Silent, Strong, Weak};
    match rule {
        // Values.
        Rule::expr
        | Rule::plain
        | Rule::sum
        | Rule::prefix
        | Rule::named
        | Rule::date_time
        | Rule::quantity
        | Rule::bool
        | Rule::paren
        | Rule::list
        | Rule::arg => (Plain, "a value"),
        Rule::object => (Plain, "a value"),
        Rule::is_word => (Plain, "`present`, `missing`, `empty`"),
        Rule::text => (Plain, "a text in double quotes"),
        Rule::raw_text => (Strong, "a pattern in double quotes"),
        Rule::date => (Plain, "a date such as `2026-11-22`"),
        Rule::time => (Plain, "a time such as `09:00`"),
        Rule::number => (Plain, "a number"),
        Rule::once => (Plain, "`once`"),
        Rule::duration => (Plain, "a duration such as `10 minutes`"),
        Rule::unit => (Plain, "a unit of time such as `minutes`"),
        Rule::currency => (Weak, "a currency"),
        Rule::bytes => (Weak, "`bytes`"),
        Rule::name | Rule::member => (Plain, "a name"),
        Rule::field | Rule::key | Rule::key_text => (Plain, "a name"),
        Rule::interp | Rule::escape | Rule::chunk_double | Rule::chunk_single | Rule::chunk_triple => (Weak, "the closing quote"),
        Rule::interp_end => (Strong, "`}`"),
        // Operators can follow every value.
        Rule::infix | Rule::arith | Rule::else_op | Rule::is_op | Rule::matches_op => (Weak, "an operator"),
        Rule::tail_field | Rule::tail_index | Rule::args => (Weak, "`(`"),
        // Signs.
        Rule::colon => (Strong, "`:`"),
        Rule::assign => (Strong, "`=`"),
        Rule::arrow => (Strong, "`=>`"),
        Rule::rparen => (Strong, "`)`"),
        Rule::rbrack => (Strong, "`]`"),
        Rule::rbrace => (Strong, "`}`"),
        Rule::rangle => (Strong, "`>`"),
        Rule::lbrace | Rule::block | Rule::arms => (Strong, "`{`"),
        // Flows.
        Rule::flow_head => (Silent, ""),
        Rule::flow | Rule::test | Rule::connector => (Plain, "`when`, `every`, `flow`, `test` or `connector`"),
        Rule::when => (Plain, "`when`"),
        Rule::every => (Plain, "`every`"),
        Rule::do_word => (Strong, "`do`"),
        Rule::chain => (Plain, "a step"),
        Rule::pattern => (Strong, "a trigger such as `stripe.charge_failed`"),
        Rule::absent => (Silent, ""),
        Rule::state_op => (Weak, "`is` or `becomes`"),
        Rule::state_changes => (Weak, "`changes`"),
        Rule::lasting => (Weak, "`for` and a duration"),
        Rule::every_cron => (Weak, "`cron`"),
        Rule::every_unit => (Plain, "a unit such as `day`, `weekday` or `month`"),
        Rule::every_on => (Weak, "`on` and a day"),
        Rule::on_day | Rule::on_word => (Strong, "a day such as `last day`, `15` or `first monday`"),
        Rule::every_at => (Plain, "`at` and a time"),
        Rule::sun => (Plain, "`sunrise` or `sunset`"),
        Rule::sun_sign => (Weak, "`+` or `-`"),
        Rule::zone => (Weak, "`in` and a time zone"),
        Rule::where_clause => (Plain, "`where` and a condition"),
        Rule::window
        | Rule::within
        | Rule::fresh
        | Rule::at_most
        | Rule::once_per
        | Rule::one_at_a_time
        | Rule::throttle
        | Rule::while_running
        | Rule::missed
        | Rule::clock_change
        | Rule::across_gaps
        | Rule::expect
        | Rule::unverified => (Plain, "another clause"),
        Rule::per | Rule::w_per => (Plain, "`per`"),
        Rule::otherwise => (Weak, "`otherwise`"),
        Rule::w_times => (Strong, "`times`"),
        Rule::w_within => (Strong, "`within`"),
        Rule::w_most => (Strong, "`most`"),
        Rule::w_at_a_time => (Strong, "`at a time`"),
        Rule::w_to => (Strong, "`to`"),
        Rule::w_running => (Strong, "`running`"),
        Rule::w_change => (Strong, "`change`"),
        Rule::w_gaps => (Strong, "`gaps`"),
        Rule::w_at_least => (Plain, "`at least`"),
        Rule::w_error => (Strong, "`error`"),
        Rule::w_in => (Strong, "`in`"),
        Rule::w_on => (Strong, "`on`"),
        Rule::w_by => (Strong, "`by`"),
        Rule::w_from => (Strong, "`from`"),
        Rule::w_where => (Strong, "`where`"),
        Rule::w_every => (Strong, "`every`"),
        Rule::w_up_to => (Strong, "`up to`"),
        Rule::w_if => (Weak, "`if`"),
        Rule::w_header => (Strong, "`header`"),
        // Steps.
        Rule::call_step
        | Rule::step_call
        | Rule::let_step
        | Rule::if_step
        | Rule::match_step
        | Rule::for_step
        | Rule::stop_step
        | Rule::return_step
        | Rule::require_step
        | Rule::wait_step => (Plain, "a step"),
        Rule::else_if | Rule::else_block => (Weak, "`else`"),
        Rule::arm | Rule::arm_else => (Plain, "a value to compare with, and `=>`"),
        Rule::because => (Weak, "`because` and a text"),
        Rule::wait_until => (Plain, "`until`"),
        Rule::wait_for => (Plain, "`for` and a trigger"),
        Rule::from_now | Rule::up_to => (Plain, "`up to` and a duration"),
        Rule::as_name | Rule::retry | Rule::on_error | Rule::flow_on_error => (Weak, "`as`, `retry` or `on error`"),
        // Tests.
        Rule::test_flow => (Plain, "`for flow`"),
        Rule::w_flow => (Strong, "`flow`"),
        Rule::given | Rule::after | Rule::expect_line => (Plain, "`given`, `after` or `expect`"),
        Rule::given_restart | Rule::given_fails | Rule::given_returns | Rule::given_state | Rule::given_event => {
            (Plain, "an event, a state or a fault")
        }
        Rule::from_file => (Weak, "`from` and a file"),
        Rule::at_instant => (Weak, "`at` and a time"),
        Rule::w_with => (Strong, "`with`"),
        Rule::expect_else | Rule::anything => (Plain, "`nothing else`"),
        Rule::w_else => (Strong, "`else`"),
        Rule::expect_run | Rule::run_status => (Plain, "`dead`, `stopped`, `done`"),
        Rule::expect_call | Rule::expect_path => (Plain, "an action"),
        Rule::none_word => (Silent, ""),
        Rule::with_fields => (Weak, "`with { … }`"),
        // Connectors.
        Rule::docs
        | Rule::secret
        | Rule::setting
        | Rule::base
        | Rule::auth
        | Rule::via
        | Rule::header
        | Rule::limit
        | Rule::quota
        | Rule::broken_on
        | Rule::broken_when
        | Rule::wait_at
        | Rule::retry_by
        | Rule::spends
        | Rule::error_text
        | Rule::help_on
        | Rule::api
        | Rule::record
        | Rule::source
        | Rule::trigger
        | Rule::state
        | Rule::query
        | Rule::action
        | Rule::resolver => (Plain, "a member such as `record`, `trigger` or `action`"),
        Rule::check => (Plain, "a member such as `record`, `trigger` or `action`"),
        Rule::secret_form => (Weak, "`of 32 hex digits`"),
        Rule::hex_digits => (Strong, "`hex digits`"),
        Rule::secret_starts => (Weak, "`starts with`"),
        Rule::retry_on => (Plain, "`retry on`"),
        Rule::shared_by => (Weak, "`shared by`"),
        Rule::spent_on => (Weak, "`spent on`"),
        Rule::w_text => (Strong, "`text`"),
        Rule::named_call => (Plain, "a name"),
        Rule::default => (Weak, "`=` and a default"),
        Rule::r#type | Rule::enum_type | Rule::record_type | Rule::named_type => (Strong, "a type such as `text` or `money`"),
        Rule::base_when => (Weak, "`when` and a condition"),
        Rule::optional => (Weak, "`?`"),
        Rule::type_args => (Weak, "`<`"),
        Rule::type_word | Rule::money_from | Rule::exponents | Rule::range => (Weak, "how the service writes it"),
        Rule::wire => (Strong, "a path in the data, in double quotes"),
        Rule::summary => (Weak, "`summary`"),
        Rule::record_field => (Plain, "a field such as `email: email?`"),
        Rule::from_paths | Rule::from_path => (Weak, "`from`"),
        Rule::of_event => (Weak, "`event` and a path in the payload"),
        Rule::types_of => (Weak, "`of` and an option"),
        Rule::attribute => (Weak, "an attribute such as `@personal`"),
        Rule::inputs => (Weak, "`(`"),
        Rule::source_body => (Plain, "`{`"),
        Rule::scheme => (Weak, "how it is written"),
        Rule::webhook
        | Rule::register
        | Rule::unregister
        | Rule::update
        | Rule::registered
        | Rule::poll
        | Rule::listen
        | Rule::items
        | Rule::pages
        | Rule::cursor
        | Rule::order
        | Rule::seen
        | Rule::history
        | Rule::first_poll
        | Rule::type_line
        | Rule::id_line
        | Rule::at_line
        | Rule::object_line
        | Rule::refuse
        | Rule::ignore
        | Rule::codes
        | Rule::along
        | Rule::told => (Plain, "a line such as `poll`, `items` or `id`"),
        Rule::registered_list | Rule::w_list => (Weak, "`list at`"),
        Rule::registered_where => (Weak, "`where`"),
        Rule::registered_id => (Weak, "`id at`"),
        Rule::registered_url | Rule::w_url => (Weak, "`url at`"),
        Rule::registered_events | Rule::w_events => (Weak, "`events at`"),
        Rule::registered_unless | Rule::unless_what => (Weak, "`update unless` or `replace unless`"),
        Rule::listen_as => (Weak, "`as` and a text"),
        Rule::listen_clears => (Weak, "`clears` and a text"),
        Rule::w_secret => (Weak, "`secret at`"),
        Rule::w_id => (Weak, "`id at`"),
        Rule::webhook_whole => (Weak, "`whole`"),
        Rule::w_at => (Strong, "`at`"),
        Rule::poll_every => (Plain, "`every` and a duration"),
        Rule::poll_when => (Weak, "`when … changes`"),
        Rule::w_changes => (Strong, "`changes`"),
        Rule::pages_while => (Weak, "`while`"),
        Rule::plus => (Weak, "`+` and a number"),
        Rule::id_else => (Weak, "`else body`"),
        Rule::refuse_because => (Weak, "`because` and a text"),
        Rule::code_row => (Plain, "a name and its codes"),
        Rule::told_row => (Plain, "a name and what stands for it"),
        Rule::collapse => (Weak, "`collapse`"),
        Rule::request | Rule::method | Rule::send | Rule::send_word => (Strong, "a request such as `GET \"/path\"`"),
        Rule::address => (Weak, "`at` and an address"),
        Rule::request_query | Rule::body | Rule::encoding | Rule::request_header | Rule::request_headers => {
            (Weak, "`query`, `json`, `form` or `header`")
        }
        Rule::request_via => (Weak, "`via`"),
        Rule::body_null => (Weak, "`null`"),
        Rule::collapse_of | Rule::pages_of => (Weak, "`of`"),
        Rule::order_then => (Weak, "`then`"),
        Rule::within_quota => (Weak, "`within quota`"),
        Rule::w_quota => (Strong, "`quota`"),
        Rule::at_once => (Weak, "`at once`"),
        Rule::field_codes => (Weak, "`codes`"),
        Rule::otherwise_member => (Weak, "`otherwise`"),
        Rule::trigger_state => (Weak, "`state`"),
        Rule::only | Rule::since_line | Rule::most => (Weak, "`only`, `since` or `up to`"),
        Rule::request_field => (Plain, "a name"),
        Rule::chunk => (Weak, "`chunk`"),
        Rule::trigger_from => (Plain, "`from` and a source"),
        Rule::trigger_where | Rule::dedupe | Rule::example => (Weak, "`where`, `dedupe by` or `example`"),
        Rule::state_from => (Plain, "`from query`"),
        Rule::output => (Weak, "`->` and a type"),
        Rule::http => (Strong, "`{`"),
        Rule::at_path
        | Rule::none_on
        | Rule::none_when
        | Rule::first_where
        | Rule::refused
        | Rule::effect
        | Rule::sign
        | Rule::confirm
        | Rule::emits
        | Rule::emitted
        | Rule::one_of
        | Rule::warn_unless
        | Rule::retry_after
        | Rule::retry_never
        | Rule::answer
        | Rule::done_on
        | Rule::timeout
        | Rule::body_up_to
        | Rule::once_more => (Plain, "a line such as `at`, `effect` or `emits`"),
        Rule::refused_word => (Strong, "`when` or `unless`"),
        Rule::effect_word | Rule::keyed | Rule::findable => (Plain, "`read`, `set`, `keyed`, `findable` or `once`"),
        Rule::w_for => (Strong, "`for`"),
        Rule::find_on => (Weak, "`on … find`"),
        Rule::w_find => (Strong, "`find`"),
        Rule::w_of => (Strong, "`of`"),
        Rule::w_after => (Weak, "`after`"),
        Rule::w_when => (Weak, "`when`"),
        Rule::w_more => (Strong, "`more`"),
        Rule::w_never => (Weak, "`never`"),
        Rule::answer_word | Rule::answer_json => (Plain, "`text`, `whole` or `json in \"…\"`"),
        Rule::w_unless => (Strong, "`unless`"),
        // The end, and what is never asked for.
        Rule::EOI => (Weak, "the end"),
        Rule::unclosed
        | Rule::file
        | Rule::only_items
        | Rule::only_steps
        | Rule::only_chain
        | Rule::only_arms
        | Rule::only_tests
        | Rule::only_members
        | Rule::only_fields
        | Rule::only_source
        | Rule::only_http
        | Rule::bad_item
        | Rule::bad
        | Rule::bad_do => (Silent, ""),
        // Rules without a node never show up as expected.
        Rule::s
        | Rule::gap
        | Rule::between
        | Rule::odd_blank
        | Rule::comment
        | Rule::w
        | Rule::e
        | Rule::reserved
        | Rule::ident
        | Rule::dot
        | Rule::path
        | Rule::comma
        | Rule::close
        | Rule::top_word
        | Rule::head_end
        | Rule::inline
        | Rule::rest_of_line
        | Rule::skip
        | Rule::skip_braces
        | Rule::skip_parens
        | Rule::skip_list
        | Rule::skip_text
        | Rule::start
        | Rule::do_part
        | Rule::at_time
        | Rule::and_comma
        | Rule::clause
        | Rule::count
        | Rule::statuses
        | Rule::step
        | Rule::step_word
        | Rule::over
        | Rule::operand
        | Rule::primary
        | Rule::arg_colon
        | Rule::arg_word
        | Rule::test_line
        | Rule::count_times
        | Rule::connector_member
        | Rule::api_member
        | Rule::enum_word
        | Rule::record_line
        | Rule::source_line
        | Rule::source_word
        | Rule::operation
        | Rule::operation_line
        | Rule::money_pair
        | Rule::check_via => (Silent, ""),
    }
}
