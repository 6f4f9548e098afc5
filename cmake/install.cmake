# `cmake --install BUILD --prefix DIR` and the Debian package (`cpack --preset deb`). The program runs without the other
# files: the quickstart's recipe and the reference model are inside it, and models/ is for where no model is named
# (src/infer/shipped_model.h).
include(GNUInstallDirs)
set(CMAKE_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
                                                WORLD_READ WORLD_EXECUTE)
install(TARGETS ballast RUNTIME)
install(DIRECTORY configs DESTINATION ${CMAKE_INSTALL_DATADIR}/ballast)
install(DIRECTORY models DESTINATION ${CMAKE_INSTALL_DATADIR}/ballast)
install(FILES README.md THIRD-PARTY.md CONTRIBUTING.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR})

# The completion scripts come from the program itself. Under /usr, where packages live, Debian wants the license and the
# changes in its own form, and its zsh looks for scripts in a folder of their own.
install(CODE "set(source \"${CMAKE_SOURCE_DIR}\")\nset(version ${PROJECT_VERSION})\nset(docs ${CMAKE_INSTALL_DOCDIR})")
install(CODE [[
  set(root "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}")
  if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
    set(zsh share/zsh/vendor-completions)
    file(COPY_FILE "${source}/cmake/debian-copyright" "${root}/${docs}/copyright")
    string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
    file(WRITE "${root}/${docs}/changelog"
         "ballast (${version}) unstable; urgency=medium\n\n  * Built from the project's own source tree.\n\n"
         " -- Ballast developers <developers@ballast.example>  ${date}\n")
    execute_process(COMMAND gzip -9nf "${root}/${docs}/changelog" COMMAND_ERROR_IS_FATAL ANY)
  else()
    set(zsh share/zsh/site-functions)
    file(INSTALL "${source}/LICENSE" DESTINATION "${root}/${docs}")
  endif()
  foreach(place bash:share/bash-completion/completions/ballast zsh:${zsh}/_ballast
                fish:share/fish/vendor_completions.d/ballast.fish)
    string(REGEX MATCH "^[a-z]+" shell ${place})
    string(REGEX REPLACE "^[a-z]+:" "" file ${place})
    get_filename_component(folder "${root}/${file}" DIRECTORY)
    file(MAKE_DIRECTORY "${folder}")
    message(STATUS "Installing: ${root}/${file}")
    execute_process(COMMAND "$<TARGET_FILE:ballast>" completion ${shell} OUTPUT_FILE "${root}/${file}"
                    COMMAND_ERROR_IS_FATAL ANY)
    list(APPEND CMAKE_INSTALL_MANIFEST_FILES "${CMAKE_INSTALL_PREFIX}/${file}")
  endforeach()
]])

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME ballast)
set(CPACK_PACKAGE_VENDOR "Ballast developers")
set(CPACK_PACKAGE_CONTACT "Ballast developers <developers@ballast.example>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "train, serve and study mixture-of-experts code models")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"Ballast is one native program in which a code model of the DeepSeek-V3
architecture is trained, served and studied: how its experts are kept in
balance while it learns, and what skipping some of them costs and gains
when it answers. It reads and writes Hugging Face checkpoints.")
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS python3)  # its standard library is the text of `ballast quickstart`
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
include(CPack)
