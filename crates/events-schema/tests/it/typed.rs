//! Types, versions and schemas are checked where events are made and where they are read.

use events_core::{ErrorKind, Event};
use events_schema::schemars::{self, JsonSchema};
use events_schema::{Producer, Reader, TypedEvent};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct UsersUpdated {
    #[schemars(length(min = 1, max = 20))]
    pub(crate) usergroup: String,
    pub(crate) users: Vec<String>,
}

impl TypedEvent for UsersUpdated {
    const TYPE: &'static str = "slack-usergroups.update_users";
    const VERSION: u64 = 3;
}

macro_rules! typed {
    ($name:ident, $type:literal, $version:literal) => {
        #[derive(Debug, Serialize, Deserialize, JsonSchema)]
        struct $name {}

        impl TypedEvent for $name {
            const TYPE: &'static str = $type;
            const VERSION: u64 = $version;
        }
    };
}

typed!(BadType, "Ping", 1);
typed!(BadVersion, "a.b", 0);

fn event(version: u64, payload: Value) -> Event {
    Event::builder(UsersUpdated::TYPE, "s").with_version(version).with_payload(payload).build().unwrap()
}

fn reader() -> Reader<UsersUpdated> {
    // Version 1 had one user under another name, version 2 had users but called the group otherwise.
    Reader::new()
        .unwrap()
        .with_upcast(1, |payload| match payload["user"].as_str() {
            Some(user) => Ok(json!({"group": payload["group"], "users": [user]})),
            None => Err("it has no user".to_owned()),
        })
        .unwrap()
        .with_upcast(2, |payload| Ok(json!({"usergroup": payload["group"], "users": payload["users"]})))
        .unwrap()
}

#[test]
fn type_version_and_source_are_checked_once() {
    assert_eq!(Producer::<BadType>::new("s").unwrap_err().kind(), ErrorKind::InvalidConfig);
    assert_eq!(Producer::<BadVersion>::new("s").unwrap_err().kind(), ErrorKind::InvalidConfig);
    assert_eq!(Producer::<UsersUpdated>::new("").unwrap_err().kind(), ErrorKind::InvalidEvent);
    assert_eq!(Reader::<BadType>::new().unwrap_err().kind(), ErrorKind::InvalidConfig);
}

#[test]
fn an_event_carries_type_and_version() {
    let producer = Producer::<UsersUpdated>::new("api").unwrap();
    let users = UsersUpdated { usergroup: "team-a".into(), users: vec!["alice".into()] };
    let event = producer.event(&users).unwrap();
    assert_eq!((event.event_type(), event.version(), event.source()), (UsersUpdated::TYPE, 3, "api"));
    assert_eq!(reader().read(&event).unwrap(), users);
}

#[test]
fn a_payload_that_violates_its_schema_is_refused_at_the_producer_when_asked() {
    let users = UsersUpdated { usergroup: String::new(), users: vec![] };
    let producer = || Producer::<UsersUpdated>::new("api").unwrap();
    producer().event(&users).unwrap();
    let refused = producer().validating().event(&users).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidEvent);
    assert!(refused.message().contains("/usergroup"), "{refused}");
}

#[test]
fn older_versions_are_brought_up_to_date_step_by_step() {
    let wanted = UsersUpdated { usergroup: "team-a".into(), users: vec!["alice".into()] };
    for (version, payload) in [
        (1, json!({"group": "team-a", "user": "alice"})),
        (2, json!({"group": "team-a", "users": ["alice"]})),
        (3, json!({"usergroup": "team-a", "users": ["alice"]})),
        (4, json!({"usergroup": "team-a", "users": ["alice"], "more": 1})),
    ] {
        assert_eq!(reader().read(&event(version, payload)).unwrap(), wanted, "version {version}");
    }
}

#[test]
fn what_cannot_be_read_says_why() {
    let none = Reader::<UsersUpdated>::new().unwrap();
    let secret = json!({"usergroup": "hunter2, and longer than it may be", "users": ["hunter2", 1]});
    for (result, said) in [
        (none.read(&event(1, json!({}))), "version"),
        (reader().read(&event(1, json!({"group": "g"}))), "it has no user"),
        (reader().read(&event(3, secret)), "/usergroup"),
        (reader().read(&event(3, json!({"usergroup": "g"}))), "users"),
        (reader().read(&Event::new("a.b", "s", json!({})).unwrap()), "event_type"),
    ] {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidEvent);
        assert!(error.message().contains(said), "{error}");
        assert!(!error.message().contains("hunter2"), "values may be secrets: {error}");
    }
}

#[test]
fn an_upcast_has_one_place() {
    let reader = || Reader::<UsersUpdated>::new().unwrap();
    for from in [0, 3, 4] {
        assert_eq!(reader().with_upcast(from, Ok).unwrap_err().kind(), ErrorKind::InvalidConfig);
    }
    let twice = reader().with_upcast(1, Ok).unwrap().with_upcast(1, Ok);
    assert_eq!(twice.unwrap_err().kind(), ErrorKind::InvalidConfig);
}
