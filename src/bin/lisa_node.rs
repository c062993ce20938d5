//! `lisa_node`: LISA as a ROS 2 node. `lisa::ros` is the node; this file adds help and exit codes.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Command;

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
    return_memory_at_once();
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

/// Starts the program again, as the same process, with a setting that glibc's allocator reads only at a program's start.
///
/// By itself glibc raises the size from which memory is mapped, and so returned when it is freed, to that of the largest block
/// that was freed so far. The weights of the next model then come from its heaps, which stay the process's. Measured with lisa-mini,
/// resident MiB unconfigured, and then four times with the model and after `cleanup`: 37, 80, 71, 107, 88, 88, 85, 106, 102
/// without this; 37, 76, 47, 81, 51, 81, 54, 81, 51 with it. An answer took 0.06 s of processor time either way.
fn return_memory_at_once() {
    const SETTING: &str = "MALLOC_MMAP_THRESHOLD_";
    // Set by this very function, or by somebody who knows better.
    if std::env::var_os(SETTING).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    let mut arguments = std::env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    // Returns only if it fails, and then the node works all the same.
    let _failed = again.args(arguments).env(SETTING, "131072").exec();
}
