//! Names: those that ROS 2 accepts for topics and namespaces (design.ros2.org, "Topic and Service name mapping to DDS";
//! `rmw/validate_full_topic_name.h`, `rmw/validate_namespace.h`), and how a name from a bag is shown in one line of text.

/// `RMW_TOPIC_MAX_NAME_LENGTH`, bytes.
const LONGEST_TOPIC: usize = 247;
/// `RMW_NAMESPACE_MAX_LENGTH`, bytes: a slash and one character are left for the topic.
const LONGEST_NAMESPACE: usize = 245;

/// A name that ROS 2 would not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{:?} is not the name of a {what}: {fault}; accepted: parts of letters, digits and underscores, not beginning with \
     a digit, each after a slash, as in /camera/left",
    shown(name)
)]
pub struct NameError {
    /// The name that was given.
    pub name: String,
    /// What it should name: `topic` or `namespace`.
    pub what: &'static str,
    /// What is wrong with it.
    pub fault: String,
}

/// Whether ROS 2 accepts this name for a topic. It is given from the root on, e.g. `/camera/image_raw`.
///
/// # Errors
/// [`NameError`].
pub fn check_topic(name: &str) -> Result<(), NameError> {
    check("topic", name, LONGEST_TOPIC)
}

/// The namespace of that name, from the root on and without a slash at its end. That of the root is empty. As with a node's
/// namespace, the first slash may be left out.
///
/// # Errors
/// [`NameError`].
pub fn namespace(name: &str) -> Result<String, NameError> {
    if ["", "/"].contains(&name) {
        return Ok(String::new());
    }
    let absolute = match name.starts_with('/') {
        true => name.to_owned(),
        false => format!("/{name}"),
    };
    check("namespace", &absolute, LONGEST_NAMESPACE).map(|()| absolute)
}

fn check(what: &'static str, name: &str, longest: usize) -> Result<(), NameError> {
    let wrong = |fault: String| {
        Err(NameError {
            name: name.to_owned(),
            what,
            fault,
        })
    };
    let Some(parts) = name.strip_prefix('/') else {
        return wrong("it does not begin at the root, with a slash".to_owned());
    };
    for part in parts.split('/') {
        let other = |c: &char| !(c.is_ascii_alphanumeric() || *c == '_');
        if let Some(c) = part.chars().find(other) {
            return wrong(format!("{c:?} is in it"));
        }
        match part.chars().next() {
            None => return wrong("nothing stands behind one of its slashes".to_owned()),
            Some(digit) if digit.is_ascii_digit() => {
                return wrong(format!("its part {:?} begins with a digit", shown(part)));
            }
            Some(_) => {}
        }
    }
    match name.len() > longest {
        true => wrong(format!("it has {} bytes, more than {longest}", name.len())),
        false => Ok(()),
    }
}

/// A name from a bag as a part of one line of text. Such a name may hold anything, so control characters are replaced, and what
/// comes after 100 characters is cut.
pub fn shown(name: &str) -> String {
    const MOST: usize = 100;
    let mut shown: String = name
        .chars()
        .take(MOST)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if name.chars().nth(MOST).is_some() {
        shown.push('\u{2026}');
    }
    shown
}

/// Several names, each as [`shown`] gives it, with commas between them; `none` if there are none.
pub fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let names: Vec<_> = names.iter().map(|name| shown(name)).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_ros_takes() {
        for name in ["/a", "/camera/image_raw", "/_hidden/x1", "/A/b__c"] {
            assert_eq!(check_topic(name), Ok(()), "{name}");
            assert_eq!(namespace(name).as_deref(), Ok(name));
        }
        for (name, fault) in [
            ("", "does not begin at the root"),
            ("cam", "does not begin at the root"),
            ("/", "nothing stands behind"),
            ("/cam/", "nothing stands behind"),
            ("/cam//x", "nothing stands behind"),
            ("/a b", "' ' is in it"),
            ("/caméra", "'é' is in it"),
            ("/a/1b", "\"1b\" begins with a digit"),
            ("/~/x", "'~' is in it"),
            ("/a\nb", "'\\n' is in it"),
        ] {
            let error = check_topic(name).unwrap_err().to_string();
            assert!(
                error.contains(fault) && error.contains("accepted: "),
                "{error}"
            );
            assert!(!error.contains('\n'), "{error}");
        }
        let long = |bytes: usize| format!("/{}", "x".repeat(bytes - 1));
        assert!(check_topic(&long(247)).is_ok() && check_topic(&long(248)).is_err());
        assert!(namespace(&long(245)).is_ok() && namespace(&long(246)).is_err());
    }

    #[test]
    fn a_namespace_begins_at_the_root_whether_that_is_said_or_not() {
        assert_eq!(namespace("cam").as_deref(), Ok("/cam"));
        assert_eq!(namespace("").as_deref(), Ok(""));
        assert_eq!(namespace("/").as_deref(), Ok(""));
        for name in ["a b", "cam/", "7up", "~"] {
            assert!(namespace(name).is_err(), "{name}");
        }
    }
}
