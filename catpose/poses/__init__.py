"""Pose representations, by the name that a config gives."""

from catpose.poses import axis_angle

POSES = {
    "axis_angle": axis_angle.AXIS_ANGLE,
}
