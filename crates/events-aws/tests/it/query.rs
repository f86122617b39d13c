//! The Query protocol of SNS, told in the JSON of SQS, so that one script serves both services.

use serde_json::{Value, json};

/// The operation of a form, in lower case, and its entries: `Id`, and the message as `MessageBody`.
pub(crate) fn request(form: &str) -> (String, Value) {
    let fields: Vec<(String, String)> = form
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect();
    let field = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone());
    let entry = |number: usize| {
        let of_entry = |name: &str| field(&format!("PublishBatchRequestEntries.member.{number}.{name}"));
        Some(json!({"Id": of_entry("Id")?, "MessageBody": of_entry("Message")?}))
    };
    let entries: Vec<Value> = (1..).map_while(entry).collect();
    (field("Action").unwrap_or_default().to_ascii_lowercase(), json!({ "Entries": entries }))
}

/// An answer in XML.
pub(crate) fn answer(status: u16, json: &Value) -> String {
    if status != 200 {
        let code = json["__type"].as_str().and_then(|name| name.rsplit('#').next()).unwrap_or_default();
        return format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code></Error></ErrorResponse>"
        );
    }
    let list = |name: &str| -> String {
        json[name]
            .as_array()
            .into_iter()
            .flatten()
            .map(|entry| format!("<member>{}</member>", fields(entry)))
            .collect()
    };
    format!(
        "<PublishBatchResponse><PublishBatchResult><Successful>{}</Successful><Failed>{}</Failed>\
         </PublishBatchResult></PublishBatchResponse>",
        list("Successful"),
        list("Failed")
    )
}

fn fields(entry: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let fields = entry.as_object().into_iter().flatten();
    fields.map(|(name, value)| format!("<{name}>{}</{name}>", text(value))).collect()
}

fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, others)) = rest.split_first() {
        let escaped = std::str::from_utf8(others.get(..2).unwrap_or_default());
        let escaped = escaped.ok().and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (first, escaped) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &others[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = others;
            }
            _ => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
