//! The full name of a topic after namespace and remappings.
//!
//! rcl applies the rules to every subscription itself, but r2r does not tell the outcome, which the diagnostics need ("no image
//! on /camera/image_raw"), and so does the lookup of that topic's publishers. So the command line is read a second time here,
//! by the same rules (design.ros2.org, "Static remapping").

/// The remap rules of a command line, in order.
#[derive(Clone, Debug, Default)]
pub struct Remaps {
    /// `from` and `to` of the rules that apply to this node and are not about its own name.
    rules: Vec<(String, String)>,
    namespace: String,
    node: String,
}

impl Remaps {
    /// Reads `-r`/`--remap FROM:=TO` between `--ros-args` and `--`, for the node `name` in `namespace`.
    pub fn new(args: impl IntoIterator<Item = String>, namespace: &str, node: &str) -> Self {
        let mut remaps = Self {
            rules: Vec::new(),
            namespace: namespace.trim_end_matches('/').to_owned(),
            node: node.to_owned(),
        };
        let (mut ros, mut args) = (false, args.into_iter());
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--ros-args" => ros = true,
                "--" => ros = false,
                "-r" | "--remap" if ros => remaps.add(&args.next().unwrap_or_default()),
                _ => {}
            }
        }
        remaps
    }

    fn add(&mut self, rule: &str) {
        let Some((from, to)) = rule.split_once(":=") else {
            return;
        };
        let from = match from.split_once(':') {
            Some(("rostopic", rest)) => rest.trim_start_matches("//"),
            Some(("rosservice", _)) => return,
            Some((node, rest)) if node == self.node => rest,
            Some(_) => return,
            None => from,
        };
        if !from.starts_with("__") {
            self.rules.push((from.to_owned(), to.to_owned()));
        }
    }

    /// The full name of a topic the node calls `name`.
    pub fn resolve(&self, name: &str) -> String {
        let full = self.expand(name);
        let rule = self
            .rules
            .iter()
            .find(|(from, _)| self.expand(from) == full);
        rule.map_or(full, |(_, to)| self.expand(to))
    }

    fn expand(&self, name: &str) -> String {
        match (name.strip_prefix('~'), name.starts_with('/')) {
            (Some(rest), _) => format!("{}/{}{rest}", self.namespace, self.node),
            (None, true) => name.to_owned(),
            (None, false) => format!("{}/{name}", self.namespace),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remaps(line: &str) -> Remaps {
        Remaps::new(line.split_whitespace().map(str::to_owned), "/robot", "lisa")
    }

    #[test]
    fn names_expand_and_the_first_rule_wins() {
        let plain = remaps("lisa_node");
        assert_eq!(plain.resolve("image"), "/robot/image");
        assert_eq!(plain.resolve("~/mask"), "/robot/lisa/mask");
        assert_eq!(plain.resolve("/clock"), "/clock");
        let r = remaps("lisa_node --ros-args -r __node:=lisa -r image:=/cam/image_raw --remap image:=other -p model:=x");
        assert_eq!(r.resolve("image"), "/cam/image_raw");
        assert_eq!(r.resolve("image/compressed"), "/robot/image/compressed");
    }

    #[test]
    fn rules_reach_only_whom_they_mean() {
        assert_eq!(
            remaps("x --ros-args -r other:image:=a").resolve("image"),
            "/robot/image"
        );
        assert_eq!(
            remaps("x --ros-args -r lisa:image:=a").resolve("image"),
            "/robot/a"
        );
        assert_eq!(
            remaps("x --ros-args -r rostopic://image:=/a").resolve("image"),
            "/a"
        );
        assert_eq!(
            remaps("x --ros-args -- -r image:=a").resolve("image"),
            "/robot/image"
        );
        assert_eq!(remaps("x -r image:=a").resolve("image"), "/robot/image");
        assert_eq!(
            remaps("x --ros-args -r /robot/image:=~/in").resolve("image"),
            "/robot/lisa/in"
        );
        assert_eq!(Remaps::new(Vec::new(), "/", "n").resolve("image"), "/image");
    }
}
