#!/usr/bin/env bash
# Runs a command in the container with ROS 2 and lisa_ros in its environment.
set -e
source /opt/lisa_ros/setup.bash
exec "$@"
