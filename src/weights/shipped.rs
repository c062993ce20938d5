//! Where the model that comes with the project lies, for programs that are given none.

use std::path::{Path, PathBuf};

/// The folder of the model that the project trains and ships, below `models/`.
pub const SHIPPED_MODEL: &str = "lisa-mini";

/// The shipped model's directory: beside the program, in an installation as in a checkout, or in a sourced ROS 2
/// workspace. `None` where it was not installed.
pub fn shipped_model() -> Option<PathBuf> {
    let program = std::env::current_exe().ok();
    let workspaces = std::env::var_os("AMENT_PREFIX_PATH").unwrap_or_default();
    find(program.as_deref(), std::env::split_paths(&workspaces))
}

/// A checkout keeps it in `models/`, an installation in `share/lisa_ros/models/`.
fn find(program: Option<&Path>, workspaces: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    let installed = |prefix: &Path| prefix.join("share/lisa_ros/models").join(SHIPPED_MODEL);
    let around = program.into_iter().flat_map(Path::ancestors).skip(1);
    around
        .flat_map(|folder| [installed(folder), folder.join("models").join(SHIPPED_MODEL)])
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
        let at = |program: &str| find(Some(&root.path().join(program)), std::iter::empty());
        assert_eq!(at("checkout/target/release/lisa"), Some(checkout));
        assert_eq!(at("install/lib/lisa_ros/lisa_node"), Some(install.clone()));
        assert_eq!(at("install/bin/lisa"), Some(install.clone()));
        assert_eq!(at("elsewhere/lisa"), None);
        let workspaces = [root.path().join("none"), root.path().join("install")];
        assert_eq!(find(None, workspaces.into_iter()), Some(install));
    }
}
