//! Which robot made a recording, and on which day.

use std::path::Path;

use rosbag2::Bag;

/// The key in a bag's metadata that names the robot: `ros2 bag record --custom-data robot=r2`.
const ROBOT: &str = "robot";

/// Whose recording it is: what `custom_data` of its metadata says under `robot`, or else the name of the folder that the bag
/// lies in, as in `night/r2/kitchen`; `None` where neither says anything.
pub fn robot(bag: &Bag) -> Option<String> {
    let custom = bag.metadata().and_then(|data| data.custom_data.as_ref());
    let named = custom.and_then(|custom| custom.get(ROBOT)).cloned();
    named
        .filter(|name| !name.trim().is_empty())
        .or_else(|| robot_by_place(bag.path()))
}

/// The name of the folder that a bag lies in; `None` where it has none, and of the bucket or server of a URL.
pub fn robot_by_place(bag: &Path) -> Option<String> {
    let above = bag.parent()?.file_name()?.to_string_lossy().into_owned();
    // What follows a scheme is a bucket or a server.
    let is_host = bag.parent()?.parent()?.to_string_lossy().ends_with(':');
    (!is_host).then_some(above)
}

/// The day of a recording's first message in UTC, as `2026-03-01`; `None` where no time is known.
pub fn day(bag: &Bag) -> Option<String> {
    let (first, _) = bag.span()?;
    let time = jiff::Timestamp::from_nanosecond(i128::from(first)).ok()?;
    Some(time.strftime("%Y-%m-%d").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_names_the_robot_and_a_bucket_does_not() {
        let robot = |bag: &str| robot_by_place(Path::new(bag));
        assert_eq!(robot("night/r2/kitchen").as_deref(), Some("r2"));
        assert_eq!(robot("s3://night/r2/kitchen").as_deref(), Some("r2"));
        assert_eq!(robot("/r2/kitchen.mcap").as_deref(), Some("r2"));
        for nobody in ["kitchen", "s3://night/kitchen", "/kitchen"] {
            assert_eq!(robot(nobody), None, "{nobody}");
        }
    }
}
