"""Makes a folder full of ROS 2 wheels usable as a prefix to build and link against. Run by setup_ros.sh, once.

The wheels were made to be imported from Python. Three things keep other programs from building on them:
libraries that need Python bindings which they do not use, a middleware library that is known only under its
own name, and CMake files that name the machine they were made on.
"""

import pathlib
import re
import subprocess
import sys
import sysconfig

import numpy


def drop_python_bindings(lib: pathlib.Path, patchelf: pathlib.Path) -> None:
    for name in ("librcl.so", "librcl_action.so", "librcl_lifecycle.so"):
        path = lib / name
        needed = subprocess.run([patchelf, "--print-needed", path], check=True, capture_output=True, text=True).stdout
        arguments = []
        for library in needed.split():
            if library.endswith("__rosidl_generator_py.so"):
                arguments += ["--remove-needed", library]
        if arguments:
            subprocess.run([patchelf, *arguments, path], check=True)


def name_the_middleware(lib: pathlib.Path) -> None:
    link = lib / "librmw_implementation.so"
    if not link.exists():
        link.symlink_to("librmw_fastrtps_cpp.so")


def point_cmake_here(share: pathlib.Path) -> None:
    site_packages = re.compile(r"/opt/python/cp3\d+-cp3\d+/lib/python3\.\d+/site-packages/numpy/_core/include")
    headers = re.compile(r"/opt/python/cp3\d+-cp3\d+/include/python3\.\d+")
    here = sysconfig.get_path("include")
    for path in share.rglob("*.cmake"):
        text = path.read_text()
        changed = headers.sub(here, site_packages.sub(numpy.get_include(), text))
        if changed != text:
            path.write_text(changed)


def main() -> None:
    prefix = pathlib.Path(sys.argv[1])
    name_the_middleware(prefix / "lib")
    drop_python_bindings(prefix / "lib", prefix / "bin" / "patchelf")
    point_cmake_here(prefix / "share")


if __name__ == "__main__":
    main()
