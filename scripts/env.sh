# Puts ROS 2 and this package's interfaces into the environment. Source it from bash or zsh, as often as you like:
#   source scripts/env.sh
# A ROS 2 that is already sourced and complete is used as it is; otherwise the prefix that scripts/setup_ros.sh makes.
#   LISA_ROS_PREFIX   where that prefix is (default: .ros in the repository), so that checkouts can share one
#   LISA_INSTALL      where this package is installed (default: install in the repository)
#   LISA_BAG_PYTHON   a Python with the package rosbags, for the tests of bags (default: the one of scripts/setup_rosbags.sh)
#   LISA_ROS=prefix   use our own prefix even if a ROS 2 is sourced
# After it LISA_ROS_KIND is "sourced" or "prefix", and LISA_ROS_LACKS names what a sourced ROS 2 is missing.

LISA_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")/.." && pwd)
export LISA_ROOT
export LISA_ROS_PREFIX="${LISA_ROS_PREFIX:-$LISA_ROOT/.ros}"
export LISA_INSTALL="${LISA_INSTALL:-$LISA_ROOT/install}"
export LISA_BAG_PYTHON="${LISA_BAG_PYTHON:-$LISA_ROOT/.rosbags/bin/python3}"

# What of the sourced ROS 2 is missing, as names of Debian packages less "ros-<distro>-".
_lisa_lacks() {
    local package dir found
    case "$ROS_DISTRO" in
        humble | iron | jazzy | lyrical | rolling) ;;
        *) printf '%s' "a distribution that r2r 0.9.7 supports (humble, iron, jazzy, lyrical, rolling)" && return ;;
    esac
    for package in ament_cmake rosidl_default_generators rclpy builtin_interfaces std_msgs sensor_msgs std_srvs \
        geometry_msgs visualization_msgs vision_msgs tf2_msgs lifecycle_msgs diagnostic_msgs action_msgs rcl_interfaces \
        rosgraph_msgs rmw_fastrtps_cpp; do
        # Any middleware will do; Fast DDS is only what we would choose.
        if [ "$package" = rmw_fastrtps_cpp ] && [ -n "${RMW_IMPLEMENTATION:-}" ]; then continue; fi
        found=
        while IFS= read -r dir; do
            if [ -n "$dir" ] && [ -e "$dir/share/$package/package.xml" ]; then found=1 && break; fi
        done <<EOF
$(printf '%s' "$AMENT_PREFIX_PATH" | tr ':' '\n')
EOF
        [ -n "$found" ] || printf '%s ' "$(printf '%s' "$package" | tr _ -)"
    done
}

LISA_ROS_KIND=prefix
LISA_ROS_LACKS=
case ":${AMENT_PREFIX_PATH:-}:" in
    "::" | *":$LISA_ROS_PREFIX:"*) ;;
    *)
        if [ -n "${ROS_DISTRO:-}" ] && [ "${LISA_ROS:-}" != prefix ]; then
            LISA_ROS_LACKS=$(_lisa_lacks)
            [ -n "$LISA_ROS_LACKS" ] || LISA_ROS_KIND=sourced
        fi
        ;;
esac
export LISA_ROS_KIND LISA_ROS_LACKS

# Puts $2 in front of the list variable $1, once.
_lisa_prepend() {
    local now
    eval "now=\${$1:-}"
    case ":$now:" in
        *":$2:"*) ;;
        *) eval "export $1=\"\$2\${now:+:\$now}\"" ;;
    esac
}

if [ "$LISA_ROS_KIND" = prefix ]; then
    # Set, not prepended: two ROS 2 in one process would mix their libraries.
    export ROS_DISTRO=jazzy ROS_VERSION=2 ROS_PYTHON_VERSION=3
    export AMENT_PREFIX_PATH="$LISA_INSTALL:$LISA_ROS_PREFIX"
    export CMAKE_PREFIX_PATH="$LISA_ROS_PREFIX"
    export RMW_IMPLEMENTATION=rmw_fastrtps_cpp
    export VIRTUAL_ENV="$LISA_ROS_PREFIX"
    _lisa_libraries="$LISA_INSTALL/lib:$LISA_ROS_PREFIX/lib"
    _lisa_python=
    for _lisa_dir in $(find "$LISA_ROS_PREFIX"/lib/python3.*/site-packages -maxdepth 1 -name 'ros_*.libs' 2>/dev/null | sort); do
        _lisa_libraries="$_lisa_libraries:$_lisa_dir"
    done
    export LD_LIBRARY_PATH="$_lisa_libraries"
    for _lisa_dir in $(find "$LISA_ROS_PREFIX/lib" -maxdepth 1 -name 'python3.*' 2>/dev/null); do
        _lisa_python="$LISA_INSTALL/lib/${_lisa_dir##*/}/site-packages"
    done
    export PYTHONPATH="$_lisa_python"
    _lisa_prepend PATH "$LISA_ROS_PREFIX/bin"
    unset _lisa_libraries _lisa_python _lisa_dir
else
    _lisa_prepend AMENT_PREFIX_PATH "$LISA_INSTALL"
    _lisa_prepend LD_LIBRARY_PATH "$LISA_INSTALL/lib"
    for _lisa_dir in $(find "$LISA_INSTALL" -type d -path '*-packages/lisa_ros' 2>/dev/null); do
        _lisa_prepend PYTHONPATH "${_lisa_dir%/lisa_ros}"
    done
    unset _lisa_dir
fi

# r2r binds only what the node speaks, which saves minutes. Its bindings are made anew when this variable changes, but not when
# a message does, so the last entry, which names no package, is a checksum of our interfaces. The prefix's stamp is part of it,
# because packages that setup_ros.sh adds to an old prefix change nothing else.
_lisa_sum=$({ cat "$LISA_ROOT"/msg/*.msg "$LISA_ROOT"/action/*.action && cat "$LISA_ROS_PREFIX/.interfaces" 2>/dev/null || true; } |
    cksum | cut -d' ' -f1)
IDL_PACKAGE_FILTER="lisa_ros;std_msgs;sensor_msgs;geometry_msgs;tf2_msgs;vision_msgs;visualization_msgs;lifecycle_msgs;diagnostic_msgs"
IDL_PACKAGE_FILTER="$IDL_PACKAGE_FILTER;std_srvs;rosgraph_msgs;rcl_interfaces;action_msgs;builtin_interfaces;service_msgs"
export IDL_PACKAGE_FILTER="$IDL_PACKAGE_FILTER;unique_identifier_msgs;interfaces_$_lisa_sum"
unset _lisa_sum
unset -f _lisa_lacks _lisa_prepend
