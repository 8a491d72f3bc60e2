# Compiler settings and the helpers that every folder's CMakeLists.txt uses.
include_guard(GLOBAL)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(KVS_PLUGIN_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib/kvstore/plugins)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()
# Assertions stay on in every build: KVS_ASSERT never looks at NDEBUG.
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g1")

find_package(Threads REQUIRED)

find_program(KVS_CCACHE ccache)
if(KVS_CCACHE)
  # The sloppiness that ccache's manual asks for with precompiled headers.
  set(KVS_CCACHE_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${KVS_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${KVS_CCACHE_LAUNCHER})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${KVS_CCACHE_LAUNCHER})
endif()

set(KVS_SANITIZE "" CACHE STRING "Sanitizers for every target, e.g. address,undefined or thread")
if(KVS_SANITIZE)
  add_compile_options(-fsanitize=${KVS_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${KVS_SANITIZE})
  if(KVS_SANITIZE MATCHES thread)
    # ThreadSanitizer does not know fences; Asio has none that its own locks do not make superfluous.
    add_compile_definitions(BOOST_ASIO_DISABLE_FENCED_BLOCK)
  endif()
endif()

set(KVS_WARNINGS -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)
set(KVS_CXX_WARNINGS ${KVS_WARNINGS} -Wnon-virtual-dtor)

option(KVS_FUZZ "Build the libFuzzer program (clang)" OFF)
if(KVS_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_link_options(-fsanitize=fuzzer-no-link)
  set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -gline-tables-only")
  # The project's warnings are for the project's compiler.
  set(KVS_WARNINGS "")
  set(KVS_CXX_WARNINGS "")
endif()

# kvs_unchecked_enums(TARGET): for code of libraries' headers that keeps foreign numbers in enums.
function(kvs_unchecked_enums target)
  if(KVS_SANITIZE)
    target_compile_options(${target} PRIVATE -fno-sanitize=enum)
  endif()
endfunction()

# kvs_warnings(TARGET): the project's warnings, as errors.  Not for generated code.
function(kvs_warnings target)
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:CXX>:${KVS_CXX_WARNINGS}> $<$<COMPILE_LANGUAGE:C>:${KVS_WARNINGS}>)
endfunction()

# Off: every file is compiled with its own includes alone, which shows a missing one.
option(KVS_PRECOMPILE "Use precompiled headers" ON)
if(KVS_PRECOMPILE)
  # Programs are compiled like libraries, so that both can use the same precompiled headers.
  set(CMAKE_CXX_COMPILE_OPTIONS_PIE -fPIC)
  find_package(nlohmann_json REQUIRED)
  foreach(kind std json test)
    file(CONFIGURE OUTPUT pch/${kind}.cpp CONTENT "" @ONLY)
    add_library(kvs_pch_${kind} OBJECT ${CMAKE_CURRENT_BINARY_DIR}/pch/${kind}.cpp)
    # By its name on the include path: an absolute one would keep caches of other clones from hits.
    target_include_directories(kvs_pch_${kind} PRIVATE ${CMAKE_CURRENT_LIST_DIR})
    target_precompile_headers(kvs_pch_${kind} PRIVATE <pch/${kind}.hpp>)
    target_link_libraries(kvs_pch_${kind} PRIVATE nlohmann_json::nlohmann_json)
    kvs_warnings(kvs_pch_${kind}) # -Wpedantic changes predefined macros, which must be the same
    if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
      target_compile_options(kvs_pch_${kind} PRIVATE -fpch-preprocess) # for ccache
    endif()
  endforeach()
endif()

# kvs_precompile(TARGET std|json|test): includes cmake/pch/<kind>.hpp in the target's files.  A target
# with C files stays as it is: CMake has no header to reuse for them.  Poco's definitions change the
# standard headers, so its users compile the header for themselves.
function(kvs_precompile target kind)
  get_target_property(sources ${target} SOURCES)
  get_target_property(libraries ${target} LINK_LIBRARIES)
  if(NOT KVS_PRECOMPILE OR sources MATCHES "\\.c(;|$)")
    return()
  endif()
  if(libraries MATCHES "Poco|api_http")
    target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/cmake)
    target_precompile_headers(${target} PRIVATE <pch/${kind}.hpp>)
  else()
    target_precompile_headers(${target} REUSE_FROM kvs_pch_${kind})
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    target_compile_options(${target} PRIVATE -fpch-preprocess)
  endif()
endfunction()

# kvs_library(NAME SOURCES ... LINK ... [PCH std|json]): one static library of the core or the host.
function(kvs_library name)
  cmake_parse_arguments(ARG "" "PCH" "SOURCES;LINK" ${ARGN})
  if(NOT ARG_PCH)
    set(ARG_PCH std)
  endif()
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR}/core)
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
  kvs_warnings(${name})
  kvs_precompile(${name} ${ARG_PCH})
endfunction()

# kvs_test(NAME LABEL <unit|datadriven|...> SOURCES ... LINK ... [ENV ...]): one doctest program, one
# CTest entry.  The program gets tests/support/ on its include path and doctest's main.
function(kvs_test name)
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "SOURCES;LINK;ENV;ARGS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE kvs_test_main ${ARG_LINK})
  kvs_warnings(${name})
  if(KVS_SANITIZE) # gcc 12 takes what a sanitizer inserts for uninitialised reads
    target_compile_options(${name} PRIVATE -Wno-maybe-uninitialized)
  endif()
  kvs_precompile(${name} test)
  add_test(NAME ${name} COMMAND ${name} ${ARG_ARGS})
  if(NOT ARG_ENV MATCHES TSAN_OPTIONS)
    list(APPEND ARG_ENV TSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/support/tsan.supp)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT}
    ENVIRONMENT "${ARG_ENV}")
endfunction()
