#!/usr/bin/env python3
"""Asks the node for an object and publishes the pose at which a gripper may take it, for a planner such as MoveIt:

    ros2 launch lisa_ros lisa.launch.py depth:=true depth_topic:=… target_frame:=base_link
    python3 pick.py "the red mug" [--node /lisa] [--coverage 0.5] [--timeout 60]

The pose is on `pick_pose` (geometry_msgs/PoseStamped, kept for who comes later), in the node's `target_frame`, at the stamp of the
picture: x is the way in, against the surface, and y the way that the gripper closes. The width that it has to open is printed.
Exit code 0 with a pose; 1 without one, with a line that says why: the object is absent, or too little of it was measured.
"""

import argparse
import math
import sys
import time

import rclpy
import rclpy.utilities
from geometry_msgs.msg import PoseStamped, Quaternion
from lisa_ros.action import Segment
from lisa_ros.msg import ReasoningResult, SegmentedObject
from rclpy.action import ActionClient
from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, QoSProfile

WHY_NOT = {
    SegmentedObject.SPATIAL_OFF: 'the node has no depth topic: launch it with depth:=true',
    SegmentedObject.NO_DEPTH: 'no depth image belongs to the picture',
    SegmentedObject.NO_CAMERA_INFO: 'the camera is not calibrated',
    SegmentedObject.NO_TRANSFORM: 'no transform leads to the target frame',
    SegmentedObject.TOO_FEW_POINTS: 'too little of it has depth',
}


def orientation(found: SegmentedObject) -> Quaternion:
    """The rotation whose x axis goes into the surface and whose y axis is the one the gripper closes along."""
    n, a = found.grasp_normal, found.grasp_axis
    x = (-n.x, -n.y, -n.z)
    y = (a.x, a.y, a.z)
    z = (x[1] * y[2] - x[2] * y[1], x[2] * y[0] - x[0] * y[2], x[0] * y[1] - x[1] * y[0])
    # Each part of the quaternion from the largest one, so that nothing is divided by a small number (Shepperd 1978).
    w2, x2, y2, z2 = x[0] + y[1] + z[2], x[0] - y[1] - z[2], y[1] - x[0] - z[2], z[2] - x[0] - y[1]
    largest = max(w2, x2, y2, z2)
    half = math.sqrt(max(1.0 + largest, 0.0)) / 2.0
    part = 0.25 / half
    wx, wy, wz = (y[2] - z[1]) * part, (z[0] - x[2]) * part, (x[1] - y[0]) * part
    xy, xz, yz = (x[1] + y[0]) * part, (x[2] + z[0]) * part, (y[2] + z[1]) * part
    if largest == w2:
        return Quaternion(x=wx, y=wy, z=wz, w=half)
    if largest == x2:
        return Quaternion(x=half, y=xy, z=xz, w=wx)
    if largest == y2:
        return Quaternion(x=xy, y=half, z=yz, w=wy)
    return Quaternion(x=xz, y=yz, z=half, w=wz)


def refusal(result: ReasoningResult, least_coverage: float) -> str | None:
    """Why nothing is picked, or None."""
    if result.status != ReasoningResult.SEGMENTED:
        return result.error or result.answer or 'nothing was found'
    found = result.objects[0]
    if found.spatial_status != SegmentedObject.SPATIAL_OK:
        return WHY_NOT.get(found.spatial_status, f'spatial_status is {found.spatial_status}')
    if found.depth_coverage < least_coverage:
        return f'only {found.depth_coverage:.0%} of it has depth; at least {least_coverage:.0%} is needed'
    return None


def pick_pose(found: SegmentedObject) -> PoseStamped:
    """Where the gripper goes, and how it is turned."""
    pose = PoseStamped(header=found.pose.header)
    pose.pose.position = found.grasp_point
    pose.pose.orientation = orientation(found)
    return pose


def pick(node, arguments) -> tuple[PoseStamped | None, str]:
    """The pose and a line about it, or None and a line that says why there is none."""
    client = ActionClient(node, Segment, f'{arguments.node}/segment')
    if not client.wait_for_server(arguments.timeout):
        return None, f'nobody serves {arguments.node}/segment; is the node running?'

    def wait(future):
        rclpy.spin_until_future_complete(node, future, timeout_sec=arguments.timeout)
        return future.result() if future.done() else None

    handle = wait(client.send_goal_async(Segment.Goal(instruction=arguments.instruction)))
    if handle is None or not handle.accepted:
        return None, 'the node does not take the instruction'
    answer = wait(handle.get_result_async())
    if answer is None:
        wait(handle.cancel_goal_async())
        return None, f'no answer within {arguments.timeout:.0f} s'
    result = answer.result.result
    why = refusal(result, arguments.coverage)
    if why:
        return None, why
    found = result.objects[0]
    pose = pick_pose(found)
    at = pose.pose.position
    return pose, (f'{found.label!r} at ({at.x:.3f}, {at.y:.3f}, {at.z:.3f}) m in {pose.header.frame_id}; '
                  f'open the gripper to {1000 * found.grasp_width:.0f} mm or more')


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('instruction', help='what to pick, in any words')
    parser.add_argument('--node', default='/lisa', help='the name of the node (%(default)s)')
    parser.add_argument('--coverage', type=float, default=0.5, help='refuse with less of the mask measured, 0 to 1 (%(default)s)')
    parser.add_argument('--timeout', type=float, default=60.0, help='seconds to wait for the node and for its answer (%(default)s)')
    arguments = parser.parse_args(rclpy.utilities.remove_ros_args(sys.argv)[1:])

    rclpy.init(args=sys.argv)
    node = rclpy.create_node('pick')
    try:
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        publisher = node.create_publisher(PoseStamped, 'pick_pose', latched)
        pose, line = pick(node, arguments)
        if pose is None:
            print(f'pick: {line}', file=sys.stderr)
            return 1
        publisher.publish(pose)
        print(f'pick: {line}', flush=True)
        # A planner that is there, or starts within three seconds, gets it. The answer may be here before the two have found each other, and
        # with nobody to wait for nothing is waited for.
        end = time.monotonic() + 3.0
        while publisher.get_subscription_count() == 0 and time.monotonic() < end:
            rclpy.spin_once(node, timeout_sec=0.05)
        publisher.wait_for_all_acked(Duration(seconds=5.0))
        return 0
    except KeyboardInterrupt:
        return 130
    finally:
        rclpy.try_shutdown()


if __name__ == '__main__':
    sys.exit(main())
