"""Pose representations, by the name that a config gives."""

from catpose.poses import (
    axis_angle,
    bin_delta,
    euler,
    euler_bins,
    fine_bins,
    harmonic,
    matrix_fisher,
    matrix_fisher_mixture,
    multibin,
    quaternion,
    sixd,
    svd,
)

POSES = {
    "axis_angle": axis_angle.AXIS_ANGLE,
    "quaternion": quaternion.QUATERNION,
    "euler": euler.EULER,
    "sixd": sixd.SIXD,
    "svd": svd.SVD,
    "matrix_fisher": matrix_fisher.MATRIX_FISHER,
    "matrix_fisher_mixture": matrix_fisher_mixture.MATRIX_FISHER_MIXTURE,
    "harmonic": harmonic.HARMONIC,
    "euler_bins": euler_bins.EULER_BINS,
    "fine_bins": fine_bins.FINE_BINS,
    "multibin": multibin.MULTIBIN,
    "bin_delta": bin_delta.BIN_DELTA,
}
