use crate::project::{codes, group, said, snapshot};

#[test]
fn circles() {
    group(
        "circles",
        &[
            "when crm.person_updated do crm.set_level(person: id, level: \"gold\")",
            "when crm.person_updated where origin is \"flow\" do crm.set_level(person: id, level: \"gold\")",
            "when crm.person_updated at most 3 per id per hour otherwise queue do crm.set_level(person: id, level: \"gold\")",
            "when crm.person_updated or crm.person_created(imported: true) do crm.set_level(person: id, level: \"gold\")",
            "when crm.person_updated throttle to 3 per minute do crm.set_level(person: id, level: \"gold\")",
            "when crm.person_created(imported: true) do crm.create_person(email: \"a@example.com\")",
            "when kustomer.conversation_updated do crm.set_level(person: \"1\", level: \"gold\")\n\
             when crm.person_updated do kustomer.update_conversation(conversation: \"2\", priority: 3)",
            "flow a when crm.person_updated do { crm.count(name: \"x\") kustomer.update_conversation(conversation: \"2\", priority: 3) }\n\
             flow b when kustomer.conversation_updated do kustomer.create_conversation(customer: \"5f1\", name: \"n\")\n\
             flow c when kustomer.conversation_created do crm.set_level(person: \"1\", level: \"gold\")\n\
             flow d when crm.person_updated do crm.count(name: \"y\")",
            // By the type of an event: an action names it, or a trigger that has it.
            "when stripe.event(type: \"customer.updated\") where object_id is present do stripe.update_customer(customer: \"cus_1\", name: \"n\")",
            "when stripe.event(type: \"customer.updated\") do stripe.update_customer(customer: \"cus_1\", name: \"n\")",
            "when stripe.event(type: \"customer.created\") do stripe.create_customer(email: \"a@example.com\")",
            "when stripe.event(type: \"customer.updated\") do stripe.create_customer(email: \"a@example.com\")\n\
             when stripe.new_customer do stripe.update_customer(customer: id, name: \"n\")",
        ],
    );
}

#[test]
fn a_circle_leads_through_files() {
    let said = said(&[
        ("a.flow", "flow first when kustomer.conversation_updated do crm.set_level(person: \"1\", level: \"gold\")"),
        ("b.flow", "\n\nwhen crm.person_updated do kustomer.update_conversation(conversation: \"2\", priority: 3)"),
    ]);
    snapshot("circle_through_files", &said);
}

#[test]
fn what_may_stop_it_breaks_a_circle() {
    for source in [
        "when crm.person_updated where level is not \"gold\" do crm.set_level(person: id, level: \"gold\")",
        "when crm.person_updated do { if score > 3 { crm.set_level(person: id, level: \"gold\") } }",
        "when crm.person_updated do { if score > 3 { stop } crm.set_level(person: id, level: \"gold\") }",
        "when crm.person_updated do { for tag in tags up to 2 { crm.set_level(person: id, level: \"gold\") } }",
        "when crm.person_created(imported: false) do crm.create_person(email: \"a@example.com\")",
        "when crm.person_updated do crm.create_person(email: \"a@example.com\")",
        "when crm.person_updated where origin is \"external\" do crm.set_level(person: id, level: \"gold\")",
        "when crm.person_updated where origin is not \"flow\" do crm.set_level(person: id, level: \"gold\")",
        "when crm.person_updated at most 3 per id per hour do crm.set_level(person: id, level: \"gold\")",
        "when crm.person_updated once per id do crm.set_level(person: id, level: \"gold\")",
        "when crm.person_updated 3 times within 1 hour do crm.set_level(person: id, level: \"gold\")",
        "when crm.person_updated while running skip do crm.set_level(person: id, level: \"gold\")",
        "when stripe.event(type: \"customer.deleted\") do stripe.update_customer(customer: \"cus_1\", name: \"n\")",
        "when stripe.event(type: \"customer.updated\") where object_type is \"customer\" do stripe.update_customer(customer: \"cus_1\", name: \"n\")",
        "when crm.person_updated do { wait 3 hours crm.set_level(person: id, level: \"gold\") }",
    ] {
        assert!(codes(source).is_empty(), "{source}: {:?}", codes(source));
    }
}
