//! What a media type says about data.

/// Whether data of this type is JSON.
pub(super) fn is_json(media_type: &str) -> bool {
    let kind = essence(media_type);
    is(kind, "application/json") || is(kind, "text/json") || ends_with(kind, "+json")
}

/// Whether data of this type is text, which JSON can hold as a string.
pub(super) fn is_text(media_type: &str) -> bool {
    let kind = essence(media_type);
    kind.get(..5).is_some_and(|start| is(start, "text/"))
        || is(kind, "application/xml")
        || ends_with(kind, "+xml")
}

/// Whether a text is a media type by RFC 2046: two tokens around a slash, and parameters.
pub(super) fn is_media_type(text: &str) -> bool {
    let token = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_graphic() && !br#"()<>@,;:\"/[]?="#.contains(&byte))
    };
    essence(text).split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype))
}

/// The type without its parameters.
fn essence(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

fn is(left: &str, right: &str) -> bool {
    left.eq_ignore_ascii_case(right)
}

fn ends_with(text: &str, end: &str) -> bool {
    text.len() > end.len() && text.get(text.len() - end.len()..).is_some_and(|tail| is(tail, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_apart_whatever_their_case_and_parameters() {
        for json in
            ["application/json", "Application/JSON; charset=utf-8", "text/json", "application/vnd.x+json"]
        {
            assert!(is_json(json) && is_media_type(json), "{json}");
        }
        for text in ["text/plain", "TEXT/xml;a=b", "application/xml", "image/svg+xml"] {
            assert!(is_text(text) && !is_json(text) && is_media_type(text), "{text}");
        }
        for other in ["application/octet-stream", "image/png", "multipart/form-data; boundary=x"] {
            assert!(!is_json(other) && !is_text(other) && is_media_type(other), "{other}");
        }
        for wrong in ["", "json", "a/", "/b", "a b/c", "a/b/c", "é/x", "+json"] {
            assert!(!is_media_type(wrong), "{wrong}");
        }
    }
}
