// Licenses: the names that people write (Debian's short names, wheels' License fields, trove classifiers), the texts
// themselves, and SPDX expressions (spdx.org/licenses; SPDX 2.3 annex D) which the corpus keeps instead of all of them.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ballast {

// What is not known of a license. A name without a known SPDX id becomes "LicenseRef-<name>".
inline constexpr const char* kUnknownLicense = "unknown";

// "Expat" -> "MIT", "GPL-2+" -> "GPL-2.0-or-later", "BSD 3-Clause License" -> "BSD-3-Clause"; SPDX ids are themselves.
// Empty where the name says nothing certain.
std::string spdx_id_of_name(std::string_view name);

// The id of a trove classifier ("License :: OSI Approved :: MIT License"), or empty.
std::string spdx_id_of_classifier(std::string_view classifier);

// The license of a text, told by phrases that only it has; several, joined by AND, where the text holds several.
// kUnknownLicense where none is found. Reads at most the first 256 KB.
std::string classify_license_text(std::string_view text);

// The id in a line "SPDX-License-Identifier: ..." among the first ones of a source file; empty: no such line.
std::string spdx_tag(std::string_view source);

// "Expat or GPL-2+, and ISC" -> "(MIT OR GPL-2.0-or-later) AND ISC". `resolve` gets names that spdx_id_of_name does not
// know, and the generic "BSD"; it may return an expression, or nothing. Never throws; nonsense gives kUnknownLicense.
std::string license_expression(std::string_view text, const std::function<std::string(std::string_view)>& resolve = {});

// "a" and "b" both hold.
std::string license_and(const std::string& a, const std::string& b);

// Whether SPDX expression `license` may be taken: for OR one side is enough, for AND both are needed. `accepted` holds
// SPDX ids, "permissive" (MIT, BSD, Apache-2.0, PSF and Python, ISC, Zlib, CC0, Unlicense, 0BSD) or "any".
bool license_accepted(std::string_view license, std::span<const std::string> accepted);

}  // namespace ballast
