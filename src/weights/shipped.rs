//! Finds the model that comes with the project, and other installed models by their names.

use std::path::{Path, PathBuf};

/// Name of the model that the project trains and ships, which is its folder below `models/`.
pub const SHIPPED_MODEL: &str = "lisa-mini";

/// The directory of the shipped model. It is searched for in the folders above the running program, which finds it in a checkout
/// and in an installation, then in the ROS 2 workspaces of `AMENT_PREFIX_PATH`. `None` where it is in none of them.
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
    find(name, program.as_deref(), std::env::split_paths(&workspaces))
}

/// The first folder with a `lisa.json` of this name. A checkout keeps models in `models/`, an installation in
/// `share/lisa_ros/models/`.
fn find(
    name: &Path,
    program: Option<&Path>,
    workspaces: impl Iterator<Item = PathBuf>,
) -> Option<PathBuf> {
    let installed = |prefix: &Path| prefix.join("share/lisa_ros/models").join(name);
    let around = program.into_iter().flat_map(Path::ancestors).skip(1);
    around
        .flat_map(|folder| [installed(folder), folder.join("models").join(name)])
        .chain(workspaces.map(|prefix| installed(&prefix)))
        .find(|model| model.join("lisa.json").is_file())
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
        let at = |program: &str| find(name, Some(&root.path().join(program)), std::iter::empty());
        assert_eq!(at("checkout/target/release/lisa"), Some(checkout));
        assert_eq!(at("install/lib/lisa_ros/lisa_node"), Some(install.clone()));
        assert_eq!(at("install/bin/lisa"), Some(install.clone()));
        assert_eq!(at("elsewhere/lisa"), None);
        let workspaces = [root.path().join("none"), root.path().join("install")];
        assert_eq!(find(name, None, workspaces.into_iter()), Some(install));
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
