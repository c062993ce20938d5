//! Finds the model that comes with the project, and other installed models by their names.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Name of the model that the project trains and ships, which is its folder below `models/`.
pub const SHIPPED_MODEL: &str = "lisa-mini";

/// The directory of the shipped model. It is searched for in the folders above the running program, which finds it in a checkout
/// and in an installation, then in the ROS 2 workspaces of `AMENT_PREFIX_PATH`, then where the XDG Base Directory Specification
/// has data: `cargo install` puts the program into a folder of its own and no data anywhere. `None` where it is in none of them.
pub fn shipped_model() -> Option<PathBuf> {
    installed(SHIPPED_MODEL.as_ref())
}

/// The model directory that somebody named. A path is returned as it is. A single name, such as `lisa-mini`, to which no path
/// corresponds is searched for among the installed models as [`shipped_model`] is, and returned as it is where none is found.
pub fn find_model(named: &Path) -> PathBuf {
    let single = named.file_name() == Some(named.as_os_str());
    match single && !named.exists() {
        true => installed(named).unwrap_or_else(|| named.to_owned()),
        false => named.to_owned(),
    }
}

fn installed(name: &Path) -> Option<PathBuf> {
    let program = std::env::current_exe().ok();
    let workspaces = std::env::var_os("AMENT_PREFIX_PATH").unwrap_or_default();
    find(
        name,
        program.as_deref(),
        std::env::split_paths(&workspaces),
        data_folders(|name| std::env::var_os(name)).into_iter(),
    )
}

/// The first folder with a `lisa.json` of this name. A checkout keeps models in `models/`, an installation in
/// `share/lisa_ros/models/`.
fn find(
    name: &Path,
    program: Option<&Path>,
    workspaces: impl Iterator<Item = PathBuf>,
    data: impl Iterator<Item = PathBuf>,
) -> Option<PathBuf> {
    let of_data = |data: &Path| data.join("lisa_ros/models").join(name);
    let installed = |prefix: &Path| of_data(&prefix.join("share"));
    let around = program.into_iter().flat_map(Path::ancestors).skip(1);
    around
        .flat_map(|folder| [installed(folder), folder.join("models").join(name)])
        .chain(workspaces.map(|prefix| installed(&prefix)))
        .chain(data.map(|folder| of_data(&folder)))
        .find(|model| model.join("lisa.json").is_file())
}

/// The user's folder for data and the system's, in the order in which they count, by the variables of the environment. As the
/// specification has it, an empty variable is one that is not set, and a relative path in one is passed over.
fn data_folders(variable: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let own = set("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(Path::new(&set("HOME")?).join(".local/share")));
    let system = set("XDG_DATA_DIRS").unwrap_or_else(|| "/usr/local/share:/usr/share".into());
    own.into_iter()
        .chain(std::env::split_paths(&system))
        .filter(|folder| folder.is_absolute())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_beside_the_program_and_in_workspaces() {
        let root = tempfile::tempdir().unwrap();
        let make = |place: &str| {
            let model = root.path().join(place).join(SHIPPED_MODEL);
            std::fs::create_dir_all(&model).unwrap();
            std::fs::write(model.join("lisa.json"), "{}").unwrap();
            model
        };
        let checkout = make("checkout/models");
        let install = make("install/share/lisa_ros/models");
        let name = Path::new(SHIPPED_MODEL);
        let none = std::iter::empty;
        let at = |program: &str| find(name, Some(&root.path().join(program)), none(), none());
        assert_eq!(at("checkout/target/release/lisa"), Some(checkout));
        assert_eq!(at("install/lib/lisa_ros/lisa_node"), Some(install.clone()));
        assert_eq!(at("install/bin/lisa"), Some(install.clone()));
        assert_eq!(at("elsewhere/lisa"), None);
        let workspaces = [root.path().join("none"), root.path().join("install")];
        assert_eq!(
            find(name, None, workspaces.into_iter(), none()),
            Some(install.clone())
        );
        let data = [root.path().join("none"), root.path().join("install/share")];
        assert_eq!(find(name, None, none(), data.into_iter()), Some(install));
    }

    #[test]
    fn data_is_where_the_specification_has_it() {
        let with = |set: &[(&str, &str)]| {
            data_folders(|name| {
                let found = set.iter().find(|(known, _)| *known == name)?;
                Some(found.1.into())
            })
        };
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(
            with(&[("HOME", "/home/ann"), ("XDG_DATA_DIRS", "")]),
            paths(&["/home/ann/.local/share", "/usr/local/share", "/usr/share"])
        );
        assert_eq!(
            with(&[
                ("HOME", "/home/ann"),
                ("XDG_DATA_HOME", "/data"),
                ("XDG_DATA_DIRS", "/opt/share:relative")
            ]),
            paths(&["/data", "/opt/share"])
        );
        assert_eq!(
            with(&[("XDG_DATA_DIRS", "/opt/share")]),
            paths(&["/opt/share"])
        );
    }

    #[test]
    fn a_single_name_is_searched_for_and_a_path_is_taken_as_it_is() {
        // The tests run from a checkout, whose models/ lies above their program.
        let found = find_model(Path::new(SHIPPED_MODEL));
        assert!(
            found.ends_with("models/lisa-mini") && found.is_absolute(),
            "{}",
            found.display()
        );
        for path in [
            "no-such-model",
            "./lisa-mini",
            "elsewhere/lisa-mini",
            "src",
            "..",
            "",
        ] {
            assert_eq!(find_model(Path::new(path)), Path::new(path));
        }
    }
}
