use super::*;

struct Object {
    name: &'static str,
    labels: Labels,
}

impl Fields for Object {
    fn field(&self, path: &[String]) -> Option<Cow<'_, str>> {
        match path.first().map(String::as_str) {
            Some("name") => Some(self.name.into()),
            Some("labels") => label(&self.labels, &path[1..]),
            _ => None,
        }
    }
}

fn object() -> Object {
    let labels = Labels::from([("foo", "true"), ("a.b", "x y"), ("containerd.io/x", "1"), ("empty", "")]);
    Object { name: "docker.io/library/foo:1", labels }
}

fn passes(filter: &str) -> bool {
    FilterSet::parse(&[filter]).unwrap_or_else(|e| panic!("{e}")).matches(&object())
}

#[test]
fn selectors_hold_as_in_containerd() {
    for (filter, expected) in [
        ("", true),
        ("  ", true),
        ("name", true),
        ("other", false),
        ("name==docker.io/library/foo:1", true),
        ("name == docker.io/library/foo:1 , labels.foo == true", true),
        ("name==docker.io/library/foo:1,labels.foo==false", false),
        ("name==foo", false),
        ("name!=foo", true),
        ("missing!=foo", true),
        ("missing!=\"\"", false),
        ("missing==\"\"", false),
        ("labels.empty==\"\"", true),
        ("labels.empty", true),
        ("labels.foo", true),
        ("labels.a.b==\"x y\"", true),
        ("labels.\"a.b\"==\"x y\"", true),
        ("labels.\"containerd.io/x\"==1", true),
        ("labels.\"containerd.io/x\"!=1", false),
        ("name~=foo", true),
        ("name~=^foo", false),
        ("name~=/library\\/foo:\\d$/", true),
        ("name~=|^docker.io/(library)/|", true),
        ("name~=\"(?i)FOO\"", true),
        ("missing~=.*", true),
        ("missing~=.+", false),
        ("labels.\"\\x66oo\"==\"tr\\165e\"", true),
        ("labels.\"\\u0066oo\"==true", true),
    ] {
        assert_eq!(passes(filter), expected, "{filter}");
    }
}

#[test]
fn one_of_several_filters_is_enough() {
    assert!(FilterSet::parse(&["name==x", "labels.foo"]).unwrap().matches(&object()));
    assert!(!FilterSet::parse(&["name==x", "labels.bar"]).unwrap().matches(&object()));
    assert!(FilterSet::parse::<String>(&[]).unwrap().matches(&object()));
    assert!(FilterSet::parse(&["name==x", ""]).unwrap().is_empty());
}

#[test]
fn errors_say_where() {
    for (filter, offset) in [
        ("name=x", 4),
        ("name==", 6),
        ("name==a,", 8),
        (",", 0),
        ("name==a b", 8),
        ("na-me", 2),
        ("name.", 5),
        ("name~=(", 6),
        ("name~=/x", 6),
        ("name==\"x", 6),
        ("name==\"\\q\"", 6),
        ("name==\"\\xzz\"", 6),
        ("name<1", 4),
        ("näme", 1),
    ] {
        match FilterSet::parse(&[filter]) {
            Err(crate::Error::Filter { offset: at, .. }) => assert_eq!(at, offset, "{filter}"),
            other => panic!("{filter}: {other:?}"),
        }
    }
}

proptest::proptest! {
    #[test]
    fn nothing_panics(text in "\\PC{0,40}") {
        let _ = FilterSet::parse(&[text]);
    }

    #[test]
    fn any_value_can_be_quoted(value in "\\PC{0,20}") {
        let filter = format!("labels.foo=={value:?}");
        // Rust's `\u{…}` differs from Go's: another test has such values.
        if !filter.contains("\\u{") && !filter.contains("\\'") {
            FilterSet::parse(&[filter]).unwrap();
        }
    }
}
