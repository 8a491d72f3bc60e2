# kvs_add_plugin(NAME <name> SOURCES <file>... [LINK <library>...] [OUTPUT_DIRECTORY <dir>])
#
# Builds <name>.so the way the loader expects it: a MODULE without a lib prefix, everything hidden but
# kvs_plugin_entry, all symbols resolved at link time, nothing of the host or the core linked in.
# Works inside this tree and, through find_package(kvstore), for out-of-tree plugins.
include_guard(GLOBAL)

set(KVS_PLUGIN_VERSION_SCRIPT ${CMAKE_CURRENT_LIST_DIR}/plugin.map)

function(kvs_add_plugin)
  cmake_parse_arguments(ARG "" "NAME;OUTPUT_DIRECTORY" "SOURCES;LINK" ${ARGN})
  if(NOT ARG_NAME OR NOT ARG_SOURCES)
    message(FATAL_ERROR "kvs_add_plugin: NAME and SOURCES are required")
  endif()
  add_library(${ARG_NAME} MODULE ${ARG_SOURCES})
  target_link_libraries(${ARG_NAME} PRIVATE kvstore::sdk ${ARG_LINK})
  set_target_properties(${ARG_NAME} PROPERTIES
    PREFIX "" CXX_VISIBILITY_PRESET hidden C_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  if(ARG_OUTPUT_DIRECTORY)
    set_target_properties(${ARG_NAME} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${ARG_OUTPUT_DIRECTORY})
  elseif(KVS_PLUGIN_OUTPUT_DIRECTORY)
    set_target_properties(${ARG_NAME} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${KVS_PLUGIN_OUTPUT_DIRECTORY})
  endif()
  target_compile_options(${ARG_NAME} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-gnu-unique> -fno-semantic-interposition)
  target_link_options(${ARG_NAME} PRIVATE -Wl,-z,relro,-z,now -Wl,--exclude-libs,ALL
    -Wl,--version-script=${KVS_PLUGIN_VERSION_SCRIPT})
  if(NOT KVS_SANITIZE) # sanitizer runtimes are resolved from the program
    target_link_options(${ARG_NAME} PRIVATE -Wl,--no-undefined)
  endif()
endfunction()
