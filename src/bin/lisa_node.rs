//! `lisa_node`: LISA as a ROS 2 node. `lisa::ros` is the node; this file adds help and exit codes.

use std::io::Write;

const HELP: &str = "\
lisa_node: reasoning segmentation as a ROS 2 node

Usage: lisa_node [--ros-args [-p PARAMETER:=VALUE]... [-r FROM:=TO]... [--params-file FILE]]

Examples:
  lisa_node --ros-args -p model:=models/lisa -r image:=/camera/image_raw
  lisa_node --ros-args -p model:=models/lisa -p mode:=continuous -r __ns:=/left
  ros2 param describe /lisa mode        what each parameter means and accepts

Exit codes: 0 after SIGINT or SIGTERM, which end it within two seconds; 1 where it cannot start or go on.";

fn main() {
    if std::env::args()
        .skip(1)
        .any(|arg| arg == "--help" || arg == "-h")
    {
        // `println!` would panic if the reader has gone (`| head`).
        drop(writeln!(std::io::stdout(), "{HELP}"));
        return;
    }
    lisa::compute::keep_freed_memory();
    let code = match lisa::ros::run() {
        Ok(()) => 0,
        Err(error) => {
            tracing::error!("{error}");
            1
        }
    };
    // Not a return, which would wait for a model that is still loading.
    std::process::exit(code);
}
