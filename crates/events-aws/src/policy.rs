//! The policy of a queue: who may send to it.

use serde_json::{Value, json};

/// The queue's policy with leave for a topic to send, or `None` where it gives that already.
///
/// Other statements stay as they are. Emulators do not enforce policies, so that a missing one shows on AWS only.
pub(crate) fn allowing(policy: Option<&str>, queue_arn: &str, topic_arn: &str) -> Option<String> {
    let topic = topic_arn.rsplit(':').next().unwrap_or_default();
    // A statement's id takes letters and digits only.
    let letters: String = topic.chars().filter(char::is_ascii_alphanumeric).collect();
    let statement = json!({
        "Sid": format!("EventsFrom{letters}"),
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
    });
    let mut policy: Value =
        policy.and_then(|policy| serde_json::from_str(policy).ok()).unwrap_or(Value::Null);
    if !policy.is_object() {
        policy = json!({"Version": "2012-10-17"});
    }
    let mut statements = match policy["Statement"].take() {
        Value::Array(statements) => statements,
        Value::Null => Vec::new(),
        // A single statement may stand without a list.
        single => vec![single],
    };
    if statements.contains(&statement) {
        return None;
    }
    statements.retain(|other| other["Sid"] != statement["Sid"]);
    statements.push(statement);
    policy["Statement"] = Value::Array(statements);
    Some(policy.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: &str = "arn:aws:sqs:r:1:q";
    const TOPIC: &str = "arn:aws:sns:r:1:t";

    #[test]
    fn a_policy_is_extended_once_and_keeps_what_it_says() {
        let first = allowing(None, QUEUE, TOPIC).unwrap();
        assert_eq!(allowing(Some(&first), QUEUE, TOPIC), None);
        let other = r#"{"Version":"2012-10-17","Statement":{"Sid":"mine","Effect":"Deny"}}"#;
        let both: Value = serde_json::from_str(&allowing(Some(other), QUEUE, TOPIC).unwrap()).unwrap();
        assert_eq!(both["Statement"][0]["Sid"], "mine");
        assert_eq!(both["Statement"][1]["Condition"]["ArnEquals"]["aws:SourceArn"], TOPIC);
        let second = allowing(Some(&first), QUEUE, "arn:aws:sns:r:1:u").unwrap();
        assert_eq!(serde_json::from_str::<Value>(&second).unwrap()["Statement"].as_array().unwrap().len(), 2);
    }
}
