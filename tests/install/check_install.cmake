# cmake -DBUILD=<build directory> -DSOURCE=<a plugin's source> -DWORK=<scratch> -DGENERATOR=... -P check_install.cmake
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE err)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "${ARGN}: ${code}\n${out}${err}")
  endif()
  set(output "${out}" PARENT_SCOPE)
endfunction()

function(expect text)
  if(NOT output MATCHES "${text}")
    message(FATAL_ERROR "'${text}' is not in:\n${output}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix)
# Moved as a whole: nothing may point to where it was installed or built.
file(RENAME ${WORK}/prefix ${WORK}/moved)
set(prefix ${WORK}/moved)

run(${prefix}/bin/kvstore-client --version)
run(${prefix}/bin/kvstore-server --list-plugins)
foreach(plugin storage-leveldb storage-sqlite transport-thrift api-http)
  expect("${prefix}/lib/kvstore/plugins/${plugin}.so")
endforeach()
run(${prefix}/bin/kvstore-server --config ${prefix}/share/kvstore/config/single.json --check-config)

run(${CMAKE_COMMAND} -G ${GENERATOR} -S ${CMAKE_CURRENT_LIST_DIR}/plugin -B ${WORK}/build
  -DCMAKE_PREFIX_PATH=${prefix} -DSOURCE=${SOURCE} -DCMAKE_CXX_FLAGS=${CXX_FLAGS})
run(${CMAKE_COMMAND} --build ${WORK}/build)
run(${prefix}/bin/kvstore-server --plugin-dir ${WORK}/build --list-plugins)
expect("kvstore.storage-memory|storage-third-party")

run(${CMAKE_COMMAND} -G ${GENERATOR} -S ${CMAKE_CURRENT_LIST_DIR}/client -B ${WORK}/client
  -DCMAKE_PREFIX_PATH=${prefix} -DCMAKE_CXX_FLAGS=${CXX_FLAGS})
run(${CMAKE_COMMAND} --build ${WORK}/client)
run(${WORK}/client/program)
expect("^unreachable unreachable\n$")
file(REMOVE_RECURSE ${WORK})
