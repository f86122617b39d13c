//! Message attributes: named, typed values beside a body.

/// The type of an attribute that stands for an empty header: SNS and SQS refuse empty values, and let a sender refine
/// the types they know.
const EMPTY_TYPE: &str = "String.Empty";

/// The value of such an attribute, since there must be one.
const EMPTY_VALUE: &str = "-";

/// One message attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attribute {
    pub(crate) name: String,
    pub(crate) data_type: String,
    pub(crate) value: Value,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Binary(Vec<u8>),
}

impl Attribute {
    /// A text, which may be empty.
    pub(crate) fn text(name: &str, text: &str) -> Self {
        let (data_type, value) = if text.is_empty() { (EMPTY_TYPE, EMPTY_VALUE) } else { ("String", text) };
        Self { name: name.to_owned(), data_type: data_type.to_owned(), value: Value::Text(value.to_owned()) }
    }

    /// A number, in its decimal form.
    pub(crate) fn number(name: &str, number: u64) -> Self {
        Self { data_type: "Number".to_owned(), ..Self::text(name, &number.to_string()) }
    }

    /// What the attribute's sender meant: the bytes of its value.
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.value {
            Value::Text(_) if self.data_type == EMPTY_TYPE => b"",
            Value::Text(text) => text.as_bytes(),
            Value::Binary(bytes) => bytes,
        }
    }

    /// What AWS counts towards the size of a message.
    pub(crate) fn counted_bytes(&self) -> usize {
        let value = match &self.value {
            Value::Text(text) => text.len(),
            Value::Binary(bytes) => bytes.len(),
        };
        self.name.len() + self.data_type.len() + value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_text_survives_though_no_value_may_be_empty() {
        let empty = Attribute::text("x", "");
        assert_eq!(empty.value, Value::Text("-".into()));
        assert_eq!(empty.bytes(), b"");
        assert_eq!(Attribute::text("x", "-").bytes(), b"-");
        assert_eq!(Attribute::number("n", 7).bytes(), b"7");
    }
}
