// Elementary functions in f64 with the same bits on every machine: the C library picks variants by
// CPU at run time. Used for position tables and by the sampler. Errors stay below 2 ulp.
#pragma once

#include <span>

namespace fourfold::math {

double exp(double x);
double log(double x);  // NaN below zero

// Radians, |x| <= 2^20 (NaN beyond): positions reach 262,144.
double sin(double x);
double cos(double x);

// x^y for x >= 0; NaN for negative x.
double pow(double x, double y);

// The sum of e^((x[i] − shift) · scale) in a fixed order, for x[i] <= shift and scale >= 0: the
// denominator of a softmax. Terms below e^-708 count as that.
double sum_exp(std::span<const float> x, float shift, double scale);

}  // namespace fourfold::math
